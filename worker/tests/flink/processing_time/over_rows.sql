CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY currency ORDER BY p ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM trades;
