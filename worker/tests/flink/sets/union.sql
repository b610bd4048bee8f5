SELECT * FROM (VALUES (1, 'a'), (1, 'a'), (2, 'b')) AS t (n, s) UNION SELECT * FROM (VALUES (2, 'b'), (3, 'c')) AS t (n, s);
