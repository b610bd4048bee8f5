CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE copied (id BIGINT, customer STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'out/copied', 'format' = 'json', 'json.encode.ignore-null-fields' = 'true');

INSERT INTO copied SELECT id, customer, amount FROM orders;
