SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, DATE_FORMAT(t, 'yyyy-MM-dd HH:mm:ss.SSS'), DATE_FORMAT(wall, 'dd.MM.yyyy HH:mm'), DATE_FORMAT(CAST(wall AS STRING), 'yyyy/MM/dd HH'), DATE_FORMAT(t, 'HH') || 'h'
FROM instants;
