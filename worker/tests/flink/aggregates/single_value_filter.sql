-- differs: Flink's planner fails on SINGLE_VALUE with FILTER
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT product, SINGLE_VALUE(id) FILTER (WHERE id < 3), COUNT(*) FROM orders GROUP BY product;
