SET 'execution.runtime-mode' = 'batch';
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, ROW_NUMBER() OVER (PARTITION BY product ORDER BY price DESC, id), RANK() OVER (PARTITION BY product ORDER BY amount), DENSE_RANK() OVER (PARTITION BY product ORDER BY amount) FROM orders;
