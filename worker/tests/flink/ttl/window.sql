CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT /*+ STATE_TTL('orders' = '1 d') */ TUMBLE_END(ts, INTERVAL '10' SECOND), COUNT(*) FROM orders GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
