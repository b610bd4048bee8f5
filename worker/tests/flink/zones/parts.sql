SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, EXTRACT(YEAR FROM t), QUARTER(t), MONTH(t), WEEK(t), DAYOFYEAR(t), DAYOFMONTH(t), DAYOFWEEK(t), HOUR(t), MINUTE(t), SECOND(t), HOUR(wall)
FROM instants;
