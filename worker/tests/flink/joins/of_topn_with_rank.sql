-- Rows that move up take each other's numbers, and the join must not lose one.
CREATE VIEW scores AS SELECT * FROM (VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5)) AS t (who, score);
CREATE VIEW names AS SELECT * FROM (VALUES ('a', 'Ada'), ('b', 'Bob'), ('c', 'Cy'), ('d', 'Dee'), ('e', 'Eve')) AS t (who, name);
CREATE VIEW best AS SELECT who, score, rn FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY score DESC) AS rn FROM scores) WHERE rn <= 3;
SELECT b.rn, b.who, n.name FROM best AS b JOIN names AS n ON b.who = n.who;
