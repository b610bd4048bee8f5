CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv');

SELECT name, (SELECT id FROM orders) FROM customers;
