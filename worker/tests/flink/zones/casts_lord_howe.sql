SET 'table.local-time-zone' = 'Australia/Lord_Howe';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CAST(t AS STRING), CAST(t AS TIMESTAMP(3)), CAST(t AS DATE), CAST(t AS TIME), CAST(t AS TIMESTAMP(0)), CAST(wall AS TIMESTAMP_LTZ(3)),
  CAST(CAST(wall AS STRING) AS TIMESTAMP_LTZ(3)), CAST(CAST(wall AS DATE) AS TIMESTAMP_LTZ(3)), CAST(CAST(wall AS TIMESTAMP_LTZ(3)) AS STRING), t
FROM instants;
