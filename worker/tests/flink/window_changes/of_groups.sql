CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW totals AS SELECT customer, MAX(ts) AS ts, SUM(amount) AS total FROM orders GROUP BY customer;
SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE totals, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;
