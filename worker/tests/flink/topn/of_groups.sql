CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT product, total, n FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC, product) AS n FROM (
    SELECT product, SUM(amount) AS total FROM orders GROUP BY product)) WHERE n <= 3;
