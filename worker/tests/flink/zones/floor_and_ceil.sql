SET 'table.local-time-zone' = 'America/New_York';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, FLOOR(t TO HOUR), CEIL(t TO HOUR), FLOOR(t TO MINUTE), FLOOR(t TO MONTH), FLOOR(wall TO DAY) FROM instants WHERE id NOT IN (2, 3, 4, 9);
