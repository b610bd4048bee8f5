CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE bought (id BIGINT, customer STRING) PARTITIONED BY (customer) WITH (
  'connector' = 'filesystem', 'path' = 'out/bought', 'format' = 'json',
  'sink.partition-commit.policy.kind' = 'metastore,success-file'
);
INSERT INTO bought SELECT id, customer FROM orders;
