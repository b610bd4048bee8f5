-- differs: an element that an array does not have is NULL; of constants Flink makes it -1
SELECT a[2], a, m['k'] + 1, r.f FROM (VALUES (ARRAY[1, 2], MAP['k', 1], CAST(ROW('x') AS ROW<f STRING>)),
  (ARRAY[3], MAP['j', 2], CAST(ROW('y') AS ROW<f STRING>))) AS t (a, m, r);
