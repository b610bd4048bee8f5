-- differs: Flink's streams order windows upwards only
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY currency ORDER BY id DESC) FROM trades;
