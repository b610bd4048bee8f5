CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES A.id AS a, FIRST(B.id) AS b1, LAST(B.id) AS bn, C.id AS c, COUNT(B.id) AS n
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C)
  DEFINE A AS A.c = 'a', B AS B.c = 'b', C AS C.c = 'c'
) AS m;
