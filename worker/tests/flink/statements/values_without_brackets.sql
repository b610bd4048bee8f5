SELECT n FROM (VALUES 1, 2, 1 + 2) AS t (n);
