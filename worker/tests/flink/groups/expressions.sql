CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT CHAR_LENGTH(product) AS n, id / 5, SUM(amount) * 2 + 1, MAX(price) - MIN(price)
FROM orders GROUP BY CHAR_LENGTH(product), id / 5;
