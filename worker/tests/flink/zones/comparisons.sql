SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, t = wall, t < wall, CASE WHEN id < 5 THEN t ELSE wall END, COALESCE(t, wall), t > TIMESTAMP '2024-07-01 00:00:00', t >= TIMESTAMP '2024-07-01 00:00:00'
FROM instants;
