CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE ids (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out/ids', 'format' = 'json');
INSERT OVERWRITE ids SELECT id FROM orders;
