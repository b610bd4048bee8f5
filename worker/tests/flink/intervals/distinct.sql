CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT COUNT(*), COUNT(DISTINCT d), COUNT(DISTINCT m) FROM (SELECT amount * INTERVAL '1' DAY AS d, amount * INTERVAL '1' MONTH AS m FROM orders);
