CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv', 'csv.null-literal' = '');

SELECT * FROM customers a JOIN customers b ON a.city = b.city
ORDER BY a.name, b.name LIMIT 5;
