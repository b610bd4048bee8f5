CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW rows_ AS SELECT ts, ARRAY[customer, 'x'] AS pair FROM orders;

SELECT window_start, window_end, pair, COUNT(*) FROM TABLE(SESSION(TABLE rows_ PARTITION BY pair, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, pair;
