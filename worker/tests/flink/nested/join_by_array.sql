CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT a.id, b.id FROM events AS a JOIN events AS b ON a.tags = b.tags WHERE a.id < 3;
