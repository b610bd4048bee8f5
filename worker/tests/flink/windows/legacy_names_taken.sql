CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW small AS SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS window_start, TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND) AS window_end, SUM(amount) AS total, COUNT(*) AS n FROM orders GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
SELECT TUMBLE_START(window_end, INTERVAL '30' SECOND) AS window_start, TUMBLE_ROWTIME(window_end, INTERVAL '30' SECOND) AS window_end, SUM(total), SUM(n), MIN(window_start) FROM small GROUP BY TUMBLE(window_end, INTERVAL '30' SECOND);
