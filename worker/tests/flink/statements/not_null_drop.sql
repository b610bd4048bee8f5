SET 'table.exec.sink.not-null-enforcer' = 'DROP';
CREATE TABLE t (a INT NOT NULL, s STRING) WITH ('connector' = 'print');
INSERT INTO t SELECT a, s FROM (VALUES (1, 'x'), (CAST(NULL AS INT), 'y'), (3, CAST(NULL AS STRING))) AS v (a, s);
