CREATE TABLE quotes (currency STRING, region STRING, rate INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/quotes.json', 'format' = 'json');
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT t.id, q.rate FROM trades t JOIN quotes FOR SYSTEM_TIME AS OF t.ts AS q ON t.currency = q.currency;
