CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, s FROM (SELECT id, SUM(amount) OVER (PARTITION BY currency ORDER BY id) AS s FROM trades) WHERE s > 50;
