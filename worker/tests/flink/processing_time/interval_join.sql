CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT a.id, b.id FROM trades a JOIN trades b ON a.currency = b.currency AND a.id < b.id
AND a.p BETWEEN b.p - INTERVAL '1' HOUR AND b.p + INTERVAL '1' HOUR;
