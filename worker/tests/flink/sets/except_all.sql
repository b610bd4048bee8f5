SELECT n FROM (VALUES (1), (1), (1), (2), (3)) AS t (n) EXCEPT ALL SELECT n FROM (VALUES (1), (3), (4)) AS t (n);
