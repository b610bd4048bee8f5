CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.id FROM orders a WHERE a.id IN (SELECT b.id FROM orders b WHERE CURRENT_WATERMARK(b.ts) IS NULL OR b.ts <= CURRENT_WATERMARK(b.ts));
