SELECT v[1], v[2], v[0] FROM (SELECT PARSE_JSON(j) AS v FROM (VALUES ('[10, [20]]'), ('{"a": 1}'), ('5')) AS t (j));
