CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, ABS(amount - 4), MOD(id, 4), ROUND(price, 1), FLOOR(price), CEIL(price), SIGN(amount - 3), POWER(amount, 2),
  GREATEST(amount, 3), LEAST(price, 2), TRUNCATE(price, 1)
FROM orders WHERE price IS NOT NULL;
