CREATE TABLE b (id INT, x BOOLEAN, y BOOLEAN) WITH ('connector' = 'filesystem', 'path' = 'in/booleans.csv',
  'format' = 'csv', 'csv.null-literal' = 'null');

SELECT id, x AND y, x OR y, NOT x, x = y, x IS TRUE, y IS NOT FALSE, x IS UNKNOWN, x IS DISTINCT FROM y FROM b;
