-- differs: equal values are equal; Flink compares how they are encoded
SELECT a, b, PARSE_JSON(a) = PARSE_JSON(b) FROM (VALUES ('{"a": 1, "b": 2}', '{"b":2,"a":1}'), ('1.50', '1.5'), ('1', '1.0'), ('"x"', '"y"')) AS t (a, b);
