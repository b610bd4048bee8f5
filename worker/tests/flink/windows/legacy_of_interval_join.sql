CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT a.customer, TUMBLE_START(a.ts, INTERVAL '20' SECOND), COUNT(*), SUM(b.amount) FROM orders AS a JOIN orders AS b ON a.customer = b.customer AND b.ts BETWEEN a.ts - INTERVAL '30' SECOND AND a.ts GROUP BY TUMBLE(a.ts, INTERVAL '20' SECOND), a.customer;
