CREATE TABLE out1 (a INT, b STRING) WITH ('connector' = 'print');
INSERT INTO out1 (SELECT 1, 'x') UNION ALL (SELECT 2, 'y');
