CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE parted (id BIGINT, customer STRING, product STRING) PARTITIONED BY (customer, product)
WITH ('connector' = 'filesystem', 'path' = 'out/parted', 'format' = 'json');
INSERT INTO parted PARTITION (customer = 'all') SELECT id, product FROM orders WHERE id < 6;
