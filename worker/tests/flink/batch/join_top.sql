SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.customer, a.total FROM (SELECT customer, SUM(amount) AS total FROM orders GROUP BY customer) a JOIN (SELECT MAX(total) AS m FROM (SELECT customer, SUM(amount) AS total FROM orders GROUP BY customer)) b ON a.total = b.m;
