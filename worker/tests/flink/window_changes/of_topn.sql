-- differs: corrections that come at once are one, so that no window sees those in between; Flink here looks at each by itself
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW best AS SELECT customer, amount, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY product ORDER BY amount DESC, id) AS rn FROM orders) WHERE rn <= 1;
SELECT window_end, COUNT(*), SUM(amount), MAX(amount) FROM TABLE(TUMBLE(TABLE best, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;
