CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE copied (id BIGINT, customer STRING, price DOUBLE, paid BOOLEAN, ts TIMESTAMP(3))
WITH ('connector' = 'filesystem', 'path' = 'out/copied', 'format' = 'csv', 'csv.null-literal' = '-', 'csv.field-delimiter' = ';');

INSERT INTO copied SELECT id, customer, price, paid, ts FROM orders;
