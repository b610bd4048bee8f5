-- differs: each row has the first of its own customer, where Flink takes the first of all
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id FROM orders AS a WHERE id IN (SELECT id FROM orders AS b WHERE b.customer = a.customer ORDER BY amount DESC, id LIMIT 1);
