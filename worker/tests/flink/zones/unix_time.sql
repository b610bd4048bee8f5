SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, FROM_UNIXTIME(1711846800 + id * 1800), FROM_UNIXTIME(1729987200 + id * 1800, 'yyyy/MM/dd HH:mm'), UNIX_TIMESTAMP(CAST(wall AS STRING)),
  UNIX_TIMESTAMP(DATE_FORMAT(wall, 'dd.MM.yyyy HH:mm'), 'dd.MM.yyyy HH:mm'), UNIX_TIMESTAMP('no')
FROM instants;
