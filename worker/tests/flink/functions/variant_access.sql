SELECT v['a'], v['b'], v['b'][1], v['b'][2], v['b'][9], v['zz'], v['a'] IS NULL FROM (
  SELECT PARSE_JSON(j) AS v FROM (VALUES ('{"b": [1, 2.50, "x"], "a": {"c": null, "d": true}}'), ('{"b": [], "a": null}')) AS t (j));
