SET 'table.exec.mini-batch.enabled' = 'false';
SET 'parallelism.default' = '1';
SET 'table.exec.state.ttl' = '1 h';
RESET 'table.exec.state.ttl';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT COUNT(*) FROM orders;
