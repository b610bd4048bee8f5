CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT tags, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY tags ORDER BY id DESC) AS n FROM (SELECT * FROM events UNION ALL SELECT id + 10, tags, counts, place, items FROM events)) WHERE n = 1;
