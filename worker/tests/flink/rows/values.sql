SELECT * FROM (VALUES (1, 'a', TRUE), (2, 'b', FALSE), (3, CAST(NULL AS STRING), TRUE)) AS t (n, s, b);
