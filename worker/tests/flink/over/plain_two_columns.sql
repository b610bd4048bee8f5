-- differs: Flink's streams order windows by one column
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY region ORDER BY currency, id) FROM trades;
