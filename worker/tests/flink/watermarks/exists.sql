CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.id FROM orders a WHERE EXISTS (SELECT 1 FROM orders b WHERE b.id = a.id AND b.ts > CURRENT_WATERMARK(b.ts));
