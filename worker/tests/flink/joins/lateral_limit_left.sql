-- differs: Flink cannot plan it
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT p.product, o.id FROM (VALUES 'tea', 'milk', 'cake') AS p (product) LEFT JOIN LATERAL (SELECT id FROM orders WHERE product = p.product ORDER BY ts DESC LIMIT 1) AS o ON TRUE;
