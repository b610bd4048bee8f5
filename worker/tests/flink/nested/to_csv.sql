CREATE TABLE events (
  id BIGINT, tags ARRAY<STRING>, counts MAP<STRING, INT>,
  place ROW<city STRING, `at` ROW<lat DOUBLE, lon DOUBLE>>, items ARRAY<ROW<name STRING, n INT>>
) WITH ('connector' = 'filesystem', 'path' = 'in/nested.json', 'format' = 'json');

CREATE TABLE copied (id BIGINT, tags ARRAY<STRING>, `place` ROW<city STRING, n BIGINT>)
WITH ('connector' = 'filesystem', 'path' = 'out/copied', 'format' = 'csv');

INSERT INTO copied SELECT id, tags, ROW(place.city, id) FROM events WHERE id <> 3;
