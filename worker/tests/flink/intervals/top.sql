CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, d FROM (SELECT id, d, ROW_NUMBER() OVER (ORDER BY d DESC, id) AS n FROM (SELECT id, amount * INTERVAL '1' DAY AS d FROM orders WHERE amount IS NOT NULL)) WHERE n <= 3;
