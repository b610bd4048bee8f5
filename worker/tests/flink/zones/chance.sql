CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT COUNT(DISTINCT u), MIN(CHAR_LENGTH(u)), COUNT(DISTINCT SUBSTRING(u, 15, 1)), COUNT(*) FILTER (WHERE r >= 0e0 AND r < 1e0 AND n >= 0 AND n < 5)
FROM (SELECT UUID() AS u, RAND() AS r, RAND_INTEGER(5) AS n FROM instants);
