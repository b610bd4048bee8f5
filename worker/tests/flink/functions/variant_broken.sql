SELECT PARSE_JSON(j) FROM (VALUES ('{"a": 1'), ('1')) AS t (j);
