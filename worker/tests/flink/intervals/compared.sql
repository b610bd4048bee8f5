CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id FROM orders WHERE (ts - TIMESTAMP '2024-03-01 10:00:00') DAY TO SECOND > INTERVAL '10' SECOND AND amount * INTERVAL '1' DAY <> INTERVAL '48' HOUR;
