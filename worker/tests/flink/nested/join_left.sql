CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT o.id, e.counts, e.items FROM orders AS o LEFT JOIN events AS e ON o.id = e.id WHERE o.id < 6;
