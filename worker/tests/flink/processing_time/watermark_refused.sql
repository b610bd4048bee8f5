CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME(), WATERMARK FOR p AS p)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id FROM trades;
