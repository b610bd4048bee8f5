CREATE TABLE rates (currency STRING, rate INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '0.001' SECOND,
  PRIMARY KEY (currency) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/rates.json', 'format' = 'debezium-json');
CREATE TABLE sales (id INT, currency STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/sales.json', 'format' = 'json');

SELECT s.id, s.currency, r.rate FROM sales s LEFT JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r ON s.currency = r.currency;
