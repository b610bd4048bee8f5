CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id * 10 + 1 AS big, amount / 2 AS half, amount % 2 AS odd, price * amount AS total,
  -price AS less, UPPER(product) || '!' AS loud, ts + INTERVAL '1' DAY AS tomorrow
FROM orders;
