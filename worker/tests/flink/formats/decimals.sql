-- differs: a DECIMAL keeps its digits behind the point; Flink drops zeros and writes 100.000 as 1E+2
CREATE TABLE prices (price DECIMAL(6, 3)) WITH ('connector' = 'filesystem', 'path' = 'out/json', 'format' = 'json');
CREATE TABLE plain (price DECIMAL(6, 3)) WITH ('connector' = 'filesystem', 'path' = 'out/csv', 'format' = 'csv');

INSERT INTO prices SELECT * FROM (VALUES (1.5), (2.000), (100.000), (0.125)) AS t (d);
INSERT INTO plain SELECT * FROM (VALUES (1.5), (2.000), (100.000), (0.125)) AS t (d);
