CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT region, MAX(s) FROM (SELECT region, SUM(amount) OVER (PARTITION BY currency ORDER BY id) AS s FROM trades) GROUP BY region;
