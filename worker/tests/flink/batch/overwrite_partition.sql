SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE bought (id BIGINT, amount INT, product STRING, customer STRING) PARTITIONED BY (customer, product) WITH ('connector' = 'filesystem', 'path' = 'out/bought', 'format' = 'csv');
INSERT OVERWRITE bought PARTITION (customer = 'ann') SELECT id, amount, product FROM orders WHERE customer = 'ann';
