-- differs: Flink cannot plan it
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT p.product, o.customer, o.n FROM (VALUES 'tea', 'milk', 'cake') AS p (product), LATERAL (SELECT customer, COUNT(*) AS n FROM orders WHERE product = p.product GROUP BY customer ORDER BY n DESC, customer LIMIT 1) AS o;
