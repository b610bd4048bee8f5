CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT STDDEV_POP(total), VAR_SAMP(n) FROM (
  SELECT product, SUM(price) AS total, CAST(COUNT(*) AS DECIMAL(10, 2)) AS n FROM orders GROUP BY product);
