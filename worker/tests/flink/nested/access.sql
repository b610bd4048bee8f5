CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

SELECT id, tags[1], tags[3], counts['x'], place.city, events.place.`at`.lat, items[1].name, CARDINALITY(tags), CARDINALITY(counts)
FROM events;
