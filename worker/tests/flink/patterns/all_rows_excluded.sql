-- differs: Flink has neither ALL ROWS PER MATCH nor {- … -}; the standard does
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES CLASSIFIER() AS cls, COUNT(*) AS n
  ALL ROWS PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A {- B+ -} C)
  DEFINE A AS A.c = 'a', B AS B.c = 'b', C AS C.c = 'c'
) AS m;
