SET 'table.exec.emit.late-fire.enabled' = 'true';
SET 'table.exec.emit.late-fire.delay' = '0 s';
SET 'table.exec.emit.allow-lateness' = '1 h';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT customer, TUMBLE_END(ts, INTERVAL '10' SECOND), COUNT(*), SUM(amount)
FROM orders GROUP BY customer, TUMBLE(ts, INTERVAL '10' SECOND);
