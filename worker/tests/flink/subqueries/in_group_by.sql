CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv');
SELECT customer IN (SELECT name FROM customers WHERE points > 10) AS known, COUNT(*), SUM(amount) FROM orders WHERE customer IS NOT NULL GROUP BY customer IN (SELECT name FROM customers WHERE points > 10);
