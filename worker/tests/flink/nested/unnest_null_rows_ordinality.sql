-- differs: a ROW that is NULL is no element, as without WITH ORDINALITY; Flink fails
SELECT t.n, u.a, u.b, u.i FROM (VALUES (1, ARRAY[CAST(ROW(1, 'x') AS ROW<a INT, b STRING>), CAST(NULL AS ROW<a INT, b STRING>), CAST(ROW(2, 'z') AS ROW<a INT, b STRING>)]),
  (2, ARRAY[CAST(NULL AS ROW<a INT, b STRING>)])) AS t (n, r) CROSS JOIN UNNEST(r) WITH ORDINALITY AS u (a, b, i);
