SELECT v[1], v[2], v[3] FROM (SELECT PARSE_JSON(j) AS v FROM (VALUES ('[10, [20]]'), ('[null]'), (CAST(NULL AS STRING))) AS t (j));
