SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CAST(ARRAY[t, CAST(wall AS TIMESTAMP_LTZ(3))] AS STRING), CAST(ROW(t, wall) AS STRING), ARRAY[t], CAST(ARRAY[t] AS ARRAY<TIMESTAMP(3)>), CAST(ARRAY[wall] AS ARRAY<TIMESTAMP_LTZ(3)>),
  CAST(MAP['t', t] AS STRING), CAST(ROW(t) AS ROW<s STRING>)
FROM instants;
