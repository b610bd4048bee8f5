CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, region, AVG(amount) OVER (PARTITION BY region ORDER BY currency), MAX(id) OVER (PARTITION BY region ORDER BY currency) FROM trades;
