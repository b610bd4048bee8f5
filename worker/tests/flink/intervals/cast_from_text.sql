CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, CAST('1 02:03:04.500' AS INTERVAL DAY TO SECOND), CAST('+1-02' AS INTERVAL YEAR TO MONTH) FROM orders WHERE id < 3;
