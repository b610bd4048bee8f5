CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT id, ARRAY_CONTAINS(tags, 'a'), ARRAY_DISTINCT(tags), ARRAY_JOIN(tags, '-', '?'), ARRAY_POSITION(tags, 'b'), ARRAY_REVERSE(tags),
  ARRAY_SORT(tags), ARRAY_SLICE(tags, 2), ARRAY_MAX(tags), ARRAY_UNION(tags, ARRAY['z', 'a']), ARRAY_REMOVE(tags, 'b'), ARRAY_CONCAT(tags, tags)
FROM events;
