CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT e.id, t.tag FROM events AS e, UNNEST(e.tags) AS t (tag) WHERE e.id > 1 AND t.tag IS NOT NULL;
