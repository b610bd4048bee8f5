CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT n, COUNT(*), SUM(bv) FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES COUNT(A.id) AS n, B.v AS bv
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS m GROUP BY n;
