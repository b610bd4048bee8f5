SET 'table.local-time-zone' = 'Asia/Shanghai';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CAST(t AS STRING) FROM instants WHERE id < 3;
SET 'table.local-time-zone' = 'UTC';
SELECT id, CAST(t AS STRING) FROM instants WHERE id < 3;
RESET 'table.local-time-zone';
SET 'table.local-time-zone' = 'Europe/Berlin';
SELECT id, CAST(t AS STRING), FROM_UNIXTIME(0) FROM instants WHERE id < 3;
