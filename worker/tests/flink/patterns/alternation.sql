-- differs: Flink has no alternatives in PATTERN; the standard does
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES A.id AS a, CLASSIFIER() AS cls
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A (B C | C B | D) )
  DEFINE A AS A.c = 'a', B AS B.c = 'b', C AS C.c = 'c', D AS D.c = 'd'
) AS m;
