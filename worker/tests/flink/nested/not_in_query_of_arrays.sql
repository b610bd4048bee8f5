CREATE VIEW pairs AS SELECT * FROM (VALUES
  (1, 1, 2), (2, CAST(NULL AS INT), 2), (3, 3, CAST(NULL AS INT)), (4, 5, 6)
) AS t (id, a, b);
SELECT id FROM pairs WHERE ARRAY[a, b] NOT IN (SELECT ARRAY[a, b] FROM pairs WHERE id = 3);
