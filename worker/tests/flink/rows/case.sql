CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id,
  CASE WHEN amount >= 5 THEN 'many' WHEN amount >= 2 THEN 'some' ELSE 'few' END,
  CASE product WHEN 'tea' THEN 1 WHEN 'coffee' THEN 2 END,
  COALESCE(customer, product, '?'), NULLIF(amount, 1), IF(paid, 'y', 'n')
FROM orders;
