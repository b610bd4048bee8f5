CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW nexts AS SELECT id, LAG(amount) OVER (ORDER BY id) AS n FROM orders;
SET 'execution.runtime-mode' = 'batch';
SELECT * FROM nexts;
