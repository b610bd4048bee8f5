CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, p IS NOT NULL, PROCTIME() IS NOT NULL, p <= CURRENT_TIMESTAMP + INTERVAL '1' DAY FROM trades WHERE id < 3;
