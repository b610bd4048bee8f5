CREATE TABLE t (id INT, r ROW<a INT, b INT>) WITH ('connector' = 'filesystem', 'path' = 'in/pairs.json', 'format' = 'json');
SELECT x.id, y.id FROM t AS x JOIN t AS y ON x.r = y.r;
