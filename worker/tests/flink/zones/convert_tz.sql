CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, CONVERT_TZ(CAST(wall AS STRING), 'Europe/Berlin', 'UTC'), CONVERT_TZ(CAST(wall AS STRING), 'UTC', 'Europe/Berlin'),
  CONVERT_TZ(CAST(wall AS STRING), 'America/New_York', 'Asia/Kolkata'), CONVERT_TZ(CAST(wall AS STRING), 'GMT+8', 'GMT-08:30'), CONVERT_TZ('no', 'UTC', 'UTC')
FROM instants;
