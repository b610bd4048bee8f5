SELECT j, PARSE_JSON(j), JSON_STRING(PARSE_JSON(j)) FROM (VALUES ('{"b": [1, 2.50, "x"], "a": {"c": null, "d": true}}'), ('[1e3, 1.5e-7, 100000000000000000000, -0.0, 12345678901234567890.10]'),
  ('"a\u00e9\n"'), ('null'), (' 7 '), (CAST(NULL AS STRING))) AS t (j);
