CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

WITH a AS (SELECT id, customer AS who FROM orders WHERE id > 3),
  b (n, w) AS (SELECT id + 100, who FROM a WHERE who IS NOT NULL)
SELECT w, n FROM b UNION ALL SELECT who, id FROM a WHERE id < 6;
