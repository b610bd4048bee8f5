CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES FIRST(id) AS f, LAST(id) AS l
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST B
  PATTERN (A B* C)
  DEFINE A AS A.c = 'c', B AS B.c = 'z', C AS C.c = 'a' OR C.c = 'b'
) AS m;
