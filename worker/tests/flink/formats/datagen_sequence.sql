CREATE TABLE numbers (n BIGINT, m INT) WITH ('connector' = 'datagen', 'number-of-rows' = '20',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '20',
  'fields.m.kind' = 'sequence', 'fields.m.start' = '100', 'fields.m.end' = '119');

SELECT MOD(n, 3), COUNT(*), SUM(m) FROM numbers GROUP BY MOD(n, 3);
