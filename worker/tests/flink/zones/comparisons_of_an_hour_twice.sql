SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, t <= TIMESTAMP '2024-10-27 02:30:00', TIMESTAMP '2024-10-27 02:30:00' >= t, t = TIMESTAMP '2024-10-27 02:30:00', t IN (TIMESTAMP '2024-10-27 02:30:00', TIMESTAMP '2024-10-27 02:31:00'),
  t BETWEEN wall - INTERVAL '1' HOUR AND wall, t <= wall, wall >= t, t IS NOT DISTINCT FROM wall, t BETWEEN TIMESTAMP '2024-10-27 02:30:00' AND TIMESTAMP '2024-10-27 02:30:00',
  wall = CAST(t AS TIMESTAMP(3))
FROM instants WHERE id BETWEEN 6 AND 8;
