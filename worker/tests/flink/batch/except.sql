SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE payments (
  order_id BIGINT, `method` STRING, cents INT, `at` TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = 'in/payments.json', 'format' = 'json');
SELECT id FROM orders EXCEPT SELECT order_id FROM payments;
