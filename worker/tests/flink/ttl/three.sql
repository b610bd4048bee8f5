CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv');
SELECT /*+ STATE_TTL('a' = '1d', 'b' = '2d', 'c' = '0s') */ a.id, c.city, b.product FROM orders a JOIN customers c ON a.customer = c.name JOIN orders b ON a.id = b.id;
