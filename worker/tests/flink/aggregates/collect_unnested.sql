CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT customer, a FROM (SELECT customer, COLLECT(amount) AS all_ FROM orders GROUP BY customer) CROSS JOIN UNNEST(all_) AS t (a);
