CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, EXTRACT(SECOND FROM ts), HOUR(ts), DAYOFWEEK(ts), FLOOR(ts TO MINUTE), CEIL(ts TO HOUR), DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm'),
  TIMESTAMPDIFF(SECOND, TIMESTAMP '2024-03-01 10:00:00', ts), TIMESTAMPADD(MONTH, amount, ts), QUARTER(ts)
FROM orders;
