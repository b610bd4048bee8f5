CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, customer, product, (id, product) AS two, (amount, 1) = (1, 1) AS is_one, (customer, amount) <> ('ann', 2) AS is_other
FROM orders WHERE (customer, product) IN (('ann', 'tea'), ('bob', 'milk'), ('cid', 'tea'));
