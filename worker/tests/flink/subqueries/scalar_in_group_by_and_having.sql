CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT (SELECT MAX(id) FROM orders) AS top, paid, COUNT(*) FROM orders GROUP BY (SELECT MAX(id) FROM orders), paid HAVING COUNT(*) < (SELECT MAX(id) FROM orders);
