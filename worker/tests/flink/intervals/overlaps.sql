CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, (ts, INTERVAL '5' SECOND) OVERLAPS (TIMESTAMP '2024-03-01 10:00:10', TIMESTAMP '2024-03-01 10:00:20'), (ts, ts + INTERVAL '5' SECOND) OVERLAPS (TIMESTAMP '2024-03-01 10:00:20', INTERVAL '-8' SECOND)
FROM orders WHERE id < 9;
