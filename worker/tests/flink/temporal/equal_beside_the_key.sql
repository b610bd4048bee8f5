-- differs: Flink keeps versions by every column that ON says is equal, so that a currency that moves to another region stays in its old one as well; here the primary key alone tells them apart
CREATE TABLE quotes (currency STRING, region STRING, rate INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND, PRIMARY KEY (currency) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/quotes.json', 'format' = 'json');
CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT t.id, q.rate FROM trades t LEFT JOIN quotes FOR SYSTEM_TIME AS OF t.ts AS q ON t.currency = q.currency AND q.region = t.region;
