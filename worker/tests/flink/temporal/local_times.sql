CREATE TABLE quotes (currency STRING, rate INT, `at` TIMESTAMP(3), since AS CAST(`at` AS TIMESTAMP_LTZ(3)), WATERMARK FOR since AS since - INTERVAL '5' SECOND,
  PRIMARY KEY (currency) NOT ENFORCED) WITH ('connector' = 'filesystem', 'path' = 'in/quotes.json', 'format' = 'json');
CREATE TABLE trades (id INT, currency STRING, ts TIMESTAMP(3), t AS CAST(ts AS TIMESTAMP_LTZ(3)), WATERMARK FOR t AS t - INTERVAL '5' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT t.id, q.rate FROM trades t JOIN quotes FOR SYSTEM_TIME AS OF t.t AS q ON t.currency = q.currency;
