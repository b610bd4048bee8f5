SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, JSON_STRING(t), JSON_OBJECT(KEY 't' VALUE t, KEY 'wall' VALUE wall), JSON_ARRAY(t, wall) FROM instants WHERE id < 4;
