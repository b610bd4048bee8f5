CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.customer, HOP_END(a.ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND), COUNT(b.id) FROM orders AS a, orders AS b WHERE a.customer = b.customer AND b.ts BETWEEN a.ts - INTERVAL '30' SECOND AND a.ts AND b.amount > 1 GROUP BY HOP(a.ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND), a.customer;
