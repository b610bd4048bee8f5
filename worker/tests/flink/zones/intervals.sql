SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, t + INTERVAL '1' DAY, t - INTERVAL '90' MINUTE, TIMESTAMPADD(HOUR, 24, t), TIMESTAMPADD(DAY, 1, wall), TIMESTAMPDIFF(HOUR, t, CAST(wall AS TIMESTAMP_LTZ(3))),
  TIMESTAMPDIFF(MINUTE, wall, CAST(t AS TIMESTAMP(3))), CAST(wall AS TIMESTAMP_LTZ(3)) + INTERVAL '1' HOUR
FROM instants;
