SELECT '[' || CAST(s AS CHAR(3)) || ']', CAST(s AS VARCHAR(2)), CHAR_LENGTH(CAST(s AS CHAR(5)))
FROM (VALUES ('a'), ('abcdef')) AS t (s);
