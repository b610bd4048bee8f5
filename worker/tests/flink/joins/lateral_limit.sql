-- differs: a customer that is NULL equals none, where Flink finds its order
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT c.customer, o.id, o.amount FROM (SELECT DISTINCT customer FROM orders) AS c, LATERAL (SELECT id, amount FROM orders WHERE customer = c.customer ORDER BY amount DESC, id LIMIT 2) AS o;
