SELECT PARSE_JSON(j) FROM (VALUES ('{"a":1,"a":2}'), ('1')) AS t (j);
