CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT a.id, b.id, (a.ts - b.ts) SECOND, (b.ts - a.ts) DAY TO SECOND, (a.ts - b.ts) MONTH FROM orders a JOIN orders b ON a.customer = b.customer WHERE a.id < 6 AND b.id < 6;
