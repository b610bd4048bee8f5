CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, INTERVAL '0' SECOND, INTERVAL '90' SECOND, INTERVAL '0.5' SECOND, INTERVAL '-90' MINUTE, INTERVAL '25' HOUR, INTERVAL '0' MONTH, INTERVAL '12' MONTH, INTERVAL '-13' MONTH, INTERVAL '-1.5' SECOND
FROM orders WHERE id < 2;
