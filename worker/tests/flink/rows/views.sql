CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW paid_orders AS SELECT id, customer, amount * price AS total FROM orders WHERE paid;
CREATE TEMPORARY VIEW big (num, who, euros) AS SELECT * FROM paid_orders WHERE total > 4;

SELECT who, euros, num FROM big WHERE who <> 'bob';
