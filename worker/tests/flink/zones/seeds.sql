CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, RAND(42), RAND_INTEGER(42, 10), RAND_INTEGER(7, id) FROM instants;
