CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW w AS SELECT id, customer, (ts - TIMESTAMP '2024-03-01 10:00:00') DAY TO SECOND AS d, amount * INTERVAL '1' MONTH AS m FROM orders WHERE id < 8;
SELECT id, CASE WHEN id > 2 THEN d ELSE INTERVAL '1' DAY END, COALESCE(m, INTERVAL '1' YEAR), NULLIF(m, INTERVAL '2' MONTH), m BETWEEN INTERVAL '1' MONTH AND INTERVAL '3' MONTH, m IS NULL FROM w;
