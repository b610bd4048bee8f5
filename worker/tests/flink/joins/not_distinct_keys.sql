CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE payments (
  order_id BIGINT, `method` STRING, cents INT, `at` TIMESTAMP(3),
  WATERMARK FOR `at` AS `at` - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/payments.json', 'format' = 'json');

SELECT o.id, p.order_id FROM (SELECT id, customer, CAST(NULL AS STRING) AS m FROM orders WHERE id < 3) o
JOIN payments p ON o.m IS NOT DISTINCT FROM p.`method`;
