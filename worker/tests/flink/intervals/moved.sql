CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW w AS SELECT id, ts, (ts - TIMESTAMP '2024-03-01 10:00:00') DAY TO SECOND AS d, amount * INTERVAL '1' MONTH AS m FROM orders WHERE id < 8;
SELECT id, ts + d, ts - d, ts + m, DATE '2024-01-31' + m, CAST(ts AS DATE) - m, d + INTERVAL '1' HOUR, d - d, m + m, -d, m - INTERVAL '1' YEAR, EXTRACT(SECOND FROM d), EXTRACT(MONTH FROM m) FROM w;
