SET 'table.local-time-zone' = 'Asia/Shanghai';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, TO_TIMESTAMP_LTZ(id, 0), TO_TIMESTAMP_LTZ(CAST(wall AS STRING)), TO_TIMESTAMP_LTZ(CAST(wall AS STRING), 'yyyy-MM-dd HH:mm:ss.SSS'),
  TO_TIMESTAMP_LTZ(DATE_FORMAT(wall, 'dd.MM.yyyy HH:mm'), 'dd.MM.yyyy HH:mm', 'Europe/Berlin'), TO_TIMESTAMP(CAST(wall AS STRING)),
  CAST(TO_TIMESTAMP_LTZ(id, 0) AS STRING), TO_TIMESTAMP_LTZ('no', 'yyyy', 'UTC')
FROM instants;
