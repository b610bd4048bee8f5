SELECT n, k, v, i FROM (VALUES (1, MAP['a', 1]), (2, MAP['b', 2])) AS m (n, c) CROSS JOIN UNNEST(c) WITH ORDINALITY AS t (k, v, i);
