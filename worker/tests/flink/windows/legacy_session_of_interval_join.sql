CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT b.product, SESSION_START(b.ts, INTERVAL '20' SECOND), COUNT(*) FROM orders AS a JOIN orders AS b ON a.customer = b.customer AND a.ts BETWEEN b.ts - INTERVAL '30' SECOND AND b.ts GROUP BY SESSION(b.ts, INTERVAL '20' SECOND), b.product;
