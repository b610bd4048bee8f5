CREATE TABLE t (id INT, r ROW<a INT, b INT>) WITH ('connector' = 'filesystem', 'path' = 'in/pairs.json', 'format' = 'json');
SELECT x.id, y.id, x.r = y.r AS same, x.r <> y.r AS other FROM t AS x, t AS y;
