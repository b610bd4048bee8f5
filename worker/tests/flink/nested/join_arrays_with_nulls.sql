CREATE VIEW pairs AS SELECT * FROM (VALUES
  (1, 1, 2), (2, CAST(NULL AS INT), 2), (3, 3, CAST(NULL AS INT)), (4, 5, 6), (5, CAST(NULL AS INT), CAST(NULL AS INT))
) AS t (id, a, b);
SELECT x.id, y.id FROM pairs AS x JOIN pairs AS y ON ARRAY[x.a, x.b] = ARRAY[y.a, y.b];
