CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT product, n, x FROM (SELECT product, COUNT(*) AS n, ARRAY[MAX(amount), MIN(amount)] AS ends FROM orders GROUP BY product) CROSS JOIN UNNEST(ends) AS t (x);
