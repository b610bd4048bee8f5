SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE bought (id BIGINT, customer STRING, product STRING) PARTITIONED BY (product) WITH ('connector' = 'filesystem', 'path' = 'out/bought', 'format' = 'json', 'sink.partition-commit.policy.kind' = 'success-file');
INSERT OVERWRITE bought SELECT id, customer, product FROM orders;
