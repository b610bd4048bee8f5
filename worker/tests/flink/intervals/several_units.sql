CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, (ts - TIMESTAMP '2023-01-15 12:00:00') YEAR TO MONTH, (CAST(ts AS DATE) - DATE '2024-02-28') DAY, (ts - TIMESTAMP '2023-01-15 12:00:00') HOUR, INTERVAL '10:20' MINUTE TO SECOND, INTERVAL '1 2' DAY TO HOUR, INTERVAL '2-3' YEAR TO MONTH FROM orders WHERE id < 4;
