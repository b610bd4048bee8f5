CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES X.id AS x
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS m;
