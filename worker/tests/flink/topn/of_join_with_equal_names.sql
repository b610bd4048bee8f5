CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv', 'csv.null-literal' = '');
CREATE TABLE orders (id INT, name STRING, product STRING, customer STRING)
WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, product, city FROM (
  SELECT o.id, o.name, o.product, c.name AS customer, c.city,
    ROW_NUMBER() OVER (PARTITION BY c.name ORDER BY o.id DESC) AS n
  FROM orders o JOIN customers c ON o.customer = c.name)
WHERE n <= 2;
