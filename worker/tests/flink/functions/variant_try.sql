SELECT j, TRY_PARSE_JSON(j) FROM (VALUES ('{"a": 1}'), ('{"a": 1'), (''), ('x'), ('{"a":1,"a":2}')) AS t (j);
