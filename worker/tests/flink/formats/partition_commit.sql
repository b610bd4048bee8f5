CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE bought (id BIGINT, customer STRING, at_minute STRING) PARTITIONED BY (at_minute) WITH (
  'connector' = 'filesystem', 'path' = 'out/bought', 'format' = 'json',
  'partition.time-extractor.timestamp-pattern' = '$at_minute:00',
  'sink.partition-commit.trigger' = 'partition-time', 'sink.partition-commit.delay' = '1 min',
  'sink.partition-commit.policy.kind' = 'success-file'
);
INSERT INTO bought SELECT id, customer, DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm') FROM orders;
