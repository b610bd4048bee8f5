CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE payments (order_id BIGINT, `method` STRING, cents INT)
WITH ('connector' = 'filesystem', 'path' = 'in/payments.json', 'format' = 'json');

SELECT o.id, p.`method`, p.euros FROM orders AS o, LATERAL (SELECT `method`, cents / 100 AS euros FROM payments WHERE order_id = o.id AND cents > 200) AS p;
