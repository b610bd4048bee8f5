-- differs: without an order all rows of a key are in the frame; Flink's streams need one
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY region) FROM trades;
