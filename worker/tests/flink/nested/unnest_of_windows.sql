CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW parts AS SELECT ts, part AS product FROM orders CROSS JOIN UNNEST(ARRAY[customer, product]) AS t (part);

SELECT window_start, product, COUNT(*) FROM TABLE(TUMBLE(TABLE parts, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end, product;
