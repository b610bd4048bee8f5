CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, LAG(pair) OVER w, LAST_VALUE(pair) OVER w, COUNT(*) OVER w FROM (SELECT *, ARRAY[product, customer] AS pair FROM orders) WINDOW w AS (PARTITION BY customer ORDER BY ts);
