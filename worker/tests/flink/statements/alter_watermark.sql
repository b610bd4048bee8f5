CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

ALTER TABLE orders DROP WATERMARK;
ALTER TABLE orders ADD WATERMARK FOR ts AS ts - INTERVAL '30' SECOND;
ALTER TABLE orders RENAME TO bought;
SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE bought, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
