-- differs: Flink's files cannot be asked, only tables of connectors that it comes without; here a table that ends is read as a whole
CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv', 'csv.null-literal' = '');
CREATE TABLE orders (id INT, customer STRING, product STRING, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT o.id, o.customer, c.city FROM orders o JOIN customers FOR SYSTEM_TIME AS OF o.p AS c ON o.customer = c.name;
