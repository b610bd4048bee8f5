-- differs: a map with a NULL value equals itself here
CREATE TABLE t (id INT, m MAP<STRING, INT>) WITH ('connector' = 'filesystem', 'path' = 'in/pairs.json', 'format' = 'json');
SELECT x.id, y.id, x.m = y.m AS same, x.m <> y.m AS other FROM t AS x, t AS y;
