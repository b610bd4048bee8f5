CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

CREATE TABLE customers (name STRING, city STRING, since DATE, points INT)
WITH ('connector' = 'filesystem', 'path' = 'in/customers.csv', 'format' = 'csv');

SELECT c.name, e.id, t.tag FROM events AS e CROSS JOIN UNNEST(e.tags) AS t (tag) JOIN customers AS c ON CASE t.tag WHEN 'a' THEN 'ann' ELSE 'bob' END = c.name;
