CREATE TABLE shown (a DECIMAL(4, 2)) WITH ('connector' = 'print');

INSERT INTO shown SELECT TRY_CAST(d AS DECIMAL(4, 2)) FROM (VALUES (99.994), (99.995), (-100), (CAST(NULL AS DECIMAL(6, 3)))) AS t (d);
