-- differs: a condition may speak of the row as well; Flink refuses it
CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT id, tag, i FROM events LEFT JOIN UNNEST(tags) WITH ORDINALITY AS t (tag, i) ON i < id AND tag IS NOT NULL;
