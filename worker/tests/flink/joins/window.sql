CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE payments (
  order_id BIGINT, `method` STRING, cents INT, `at` TIMESTAMP(3),
  WATERMARK FOR `at` AS `at` - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/payments.json', 'format' = 'json');

SELECT l.window_start, l.id, r.cents FROM (
  SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND))) l
JOIN (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(`at`), INTERVAL '20' SECOND))) r
ON l.id = r.order_id AND l.window_start = r.window_start AND l.window_end = r.window_end;
