SET 'metrics.reporters' = 'prom';
SET 'my.own.key' = 'x';
SET 'execution.attached' = 'true';
SET 'table.exec.sink.type-length-enforcer' = 'IGNORE';
SET 'table.exec.legacy-cast-behaviour' = 'DISABLED';
SET 'table.exec.source.idle-timeout' = '5 s';
RESET 'my.own.key';
SELECT a FROM (VALUES (1), (2)) AS v (a);
