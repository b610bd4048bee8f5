SET 'table.local-time-zone' = 'Asia/Kolkata';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CAST(t AS TIMESTAMP_LTZ(6)), CAST(CAST(t AS TIMESTAMP_LTZ(0)) AS STRING), CAST(CAST(t AS TIMESTAMP(9)) AS STRING), CAST(wall AS TIMESTAMP_LTZ(0)),
  TRY_CAST('2024-02-30 25:00:00' AS TIMESTAMP_LTZ(3)), CAST(t AS CHAR(16))
FROM instants;
