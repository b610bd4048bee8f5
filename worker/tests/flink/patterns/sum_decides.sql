-- differs: Flink leaves out the matches that have two rows of A and two of B, of which the conditions hold as well (with B instead of B{1,2} it finds those that begin there)
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES COUNT(A.v) AS n, SUM(A.v) AS s, SUM(v) AS total, FIRST(A.id) AS f, LAST(B.id) AS l
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST B
  PATTERN (A{2,} B{1,2} C)
  DEFINE A AS SUM(A.v) <= 15 AND COUNT(A.v) < 5, B AS B.v < AVG(A.v) + 3 AND SUM(B.v) < 12
) AS m;
