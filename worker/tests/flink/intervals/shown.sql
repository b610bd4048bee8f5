CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, INTERVAL '1' DAY, amount * INTERVAL '1' HOUR, (ts - TIMESTAMP '2024-01-01 00:00:00') DAY TO SECOND, INTERVAL '14' MONTH, -amount * INTERVAL '5' MONTH, CAST(NULL AS INTERVAL SECOND), amount * INTERVAL '-0.001' SECOND
FROM orders WHERE id < 6;
