CREATE TABLE t (a INT) WITH ('connector' = 'print', 'print-identifier' = 'lasting');
CREATE TEMPORARY TABLE t (a INT) WITH ('connector' = 'print', 'print-identifier' = 'temporary');
INSERT INTO t VALUES (1);
DROP TEMPORARY TABLE t;
INSERT INTO t VALUES (2);
