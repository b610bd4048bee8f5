CREATE TABLE letters (
  id BIGINT, k INT, c STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/letters.json', 'format' = 'json');

CREATE VIEW m AS SELECT * FROM letters MATCH_RECOGNIZE (
  ORDER BY ts
  MEASURES MATCH_ROWTIME() AS mt, COUNT(A.id) AS n
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS A.c = 'a', B AS B.c = 'b'
) AS mr;

SELECT window_start, window_end, COUNT(*), SUM(n)
FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(mt), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
