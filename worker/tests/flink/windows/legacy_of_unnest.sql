CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT u.word, TUMBLE_START(o.ts, INTERVAL '20' SECOND), COUNT(*) FROM orders AS o CROSS JOIN UNNEST(ARRAY[o.customer, o.product]) AS u (word) GROUP BY TUMBLE(o.ts, INTERVAL '20' SECOND), u.word;
