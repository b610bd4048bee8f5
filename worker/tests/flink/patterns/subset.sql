-- differs: Flink takes SUBSET and then finds no rows of it; the standard means the rows of its variables
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES SUM(S.v) AS s, LAST(S.id) AS l
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C)
  SUBSET S = (A, B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b', C AS C.c = 'c'
) AS m;
