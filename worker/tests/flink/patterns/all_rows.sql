-- differs: Flink has neither ALL ROWS PER MATCH nor MATCH_NUMBER(); the standard does
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES CLASSIFIER() AS cls, MATCH_NUMBER() AS m, COUNT(A.id) AS n, FINAL COUNT(A.id) AS whole, FIRST(A.id) AS f, FINAL LAST(id) AS l
  ALL ROWS PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS m;
