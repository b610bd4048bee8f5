-- differs: Flink has no frame of so many rows by another order than time
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY currency ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM trades;
