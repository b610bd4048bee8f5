-- differs: Flink cannot plan it
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.id, b.id AS before_it FROM orders AS a, LATERAL (SELECT id FROM orders AS b WHERE b.customer = a.customer AND b.id < a.id ORDER BY id DESC LIMIT 1) AS b;
