SELECT PARSE_JSON(j, TRUE), TRY_PARSE_JSON(j, TRUE) FROM (VALUES ('{"a":1,"b":3,"a":2}'), ('1')) AS t (j);
