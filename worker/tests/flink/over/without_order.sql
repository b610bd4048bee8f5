-- differs: without an order all rows of a key are in the frame, and results are corrected as others come; Flink's streams need an order
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, SUM(amount) OVER (PARTITION BY customer) FROM orders;
