-- differs: anything is less than all of nothing; Flink loses all rows around a query without rows
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv');
SELECT id, amount < ALL (SELECT amount FROM orders WHERE id > 4 AND amount IS NOT NULL), amount <= ALL (SELECT amount FROM orders WHERE id < 0) FROM orders;
