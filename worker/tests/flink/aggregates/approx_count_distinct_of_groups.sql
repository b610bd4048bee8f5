SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT customer, APPROX_COUNT_DISTINCT(product), APPROX_COUNT_DISTINCT(price), APPROX_COUNT_DISTINCT(ts) FROM orders GROUP BY customer;
