CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT customer, LAST_VALUE(d), FIRST_VALUE(m) FROM (SELECT customer, (ts - TIMESTAMP '2024-03-01 10:00:00') DAY TO SECOND AS d, amount * INTERVAL '1' MONTH AS m FROM orders) GROUP BY customer;
