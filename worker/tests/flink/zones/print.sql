SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

CREATE TABLE shown (id INT, t TIMESTAMP_LTZ(3), wall TIMESTAMP(3), cast_of_wall TIMESTAMP_LTZ(3)) WITH ('connector' = 'print');
INSERT INTO shown SELECT id, t, t, wall FROM instants;
