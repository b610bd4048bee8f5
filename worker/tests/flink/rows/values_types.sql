SELECT n + 1, s || '.', d FROM (VALUES (1, 'a', 1.5), (200, 'bcd', 10.25)) AS t (n, s, d);
