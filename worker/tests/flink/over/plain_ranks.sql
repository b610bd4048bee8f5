-- differs: Flink computes one kind of window in a SELECT
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, ROW_NUMBER() OVER (PARTITION BY region ORDER BY id) AS n, RANK() OVER (PARTITION BY region ORDER BY id) AS r FROM trades;
