CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, amount FROM trades ORDER BY p LIMIT 3;
