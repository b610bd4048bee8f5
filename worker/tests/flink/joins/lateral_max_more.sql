-- differs: an aggregate of no rows is a row, which Flink leaves out behind LATERAL
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.id, b.m FROM orders AS a, LATERAL (SELECT MAX(id) AS m FROM orders AS b WHERE b.customer = a.customer AND b.id < a.id) AS b;
