CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE kept WITH ('connector' = 'filesystem', 'path' = 'out/kept', 'format' = 'json')
AS SELECT id, UPPER(product) AS product, amount * 2 AS total FROM orders WHERE paid;
