-- differs: a NULL in VALUES takes the type of its column
CREATE TABLE out1 (a INT, b INT, c STRING) WITH ('connector' = 'print');
INSERT INTO out1 VALUES (1, NULL, NULL);
