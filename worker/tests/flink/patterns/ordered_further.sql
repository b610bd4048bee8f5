CREATE TABLE same_times (
  id BIGINT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/same_times.json', 'format' = 'json');

SELECT * FROM same_times MATCH_RECOGNIZE (
  ORDER BY ts, v
  MEASURES FIRST(id) AS f, LAST(id) AS l
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS m;
