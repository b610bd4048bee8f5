-- differs: midnight is when the clock shows it; Flink takes the hours' offset for that of the day's first
SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, FLOOR(t TO DAY), CEIL(t TO DAY), FLOOR(t TO WEEK) FROM instants;
