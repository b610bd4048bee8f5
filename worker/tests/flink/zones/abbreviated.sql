SET 'table.local-time-zone' = 'CST';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CAST(t AS STRING) FROM instants;
