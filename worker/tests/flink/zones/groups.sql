SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT CAST(t AS DATE), COUNT(*), MIN(t), MAX(CAST(wall AS TIMESTAMP_LTZ(3))), LISTAGG(CAST(HOUR(t) AS STRING)) FROM instants GROUP BY CAST(t AS DATE);
