CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW rows_ AS SELECT ts, ROW(customer, paid) AS who FROM orders;

SELECT window_start, who, COUNT(*) FROM TABLE(TUMBLE(TABLE rows_, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end, who;
