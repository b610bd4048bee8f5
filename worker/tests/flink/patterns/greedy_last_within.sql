-- differs: Flink has no greedy quantifier at the end of PATTERN; here the match leaves when a row does not fit, or when WITHIN is over
CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES A.id AS a, LAST(id) AS l
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B*) WITHIN INTERVAL '3' SECOND
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS m;
