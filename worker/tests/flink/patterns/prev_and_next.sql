-- differs: Flink has neither PREV nor NEXT; the standard does
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES PREV(A.id) AS p, NEXT(B.c) AS n, PREV(LAST(B.id), 2) AS q
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE A AS A.c = 'a' AND PREV(A.c) = 'a', B AS NEXT(B.c) IS NOT NULL
) AS m;
