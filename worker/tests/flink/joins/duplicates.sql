SELECT a.k, a.v, b.w FROM (VALUES (1, 'a'), (1, 'a'), (2, 'b')) AS a (k, v)
JOIN (VALUES (1, 'x'), (1, 'x'), (1, 'y'), (3, 'z')) AS b (k, w) ON a.k = b.k;
