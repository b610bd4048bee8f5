CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW small AS SELECT window_start, window_end, window_time, SUM(amount) AS total FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time;
SELECT window_start0, window_end0, SUM(total), MIN(window_start) FROM TABLE(TUMBLE(TABLE small, DESCRIPTOR(window_time), INTERVAL '30' SECOND)) GROUP BY window_start0, window_end0;
