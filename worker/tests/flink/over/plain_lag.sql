CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, LAG(amount) OVER (PARTITION BY currency ORDER BY id), FIRST_VALUE(amount) OVER (PARTITION BY currency ORDER BY id) FROM trades;
