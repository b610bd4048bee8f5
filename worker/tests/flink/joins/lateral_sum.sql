-- differs: Flink cannot plan it
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT p.product, o.n, o.total FROM (VALUES 'tea', 'milk', 'cake') AS p (product), LATERAL (SELECT COUNT(*) AS n, SUM(amount) AS total FROM orders WHERE product = p.product) AS o;
