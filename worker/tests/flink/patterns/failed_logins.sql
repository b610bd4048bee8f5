CREATE TABLE logins (
  usr STRING, ip STRING, ok BOOLEAN, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/logins.json', 'format' = 'json');

SELECT * FROM logins MATCH_RECOGNIZE (
  PARTITION BY usr
  ORDER BY ts
  MEASURES FIRST(F.ts) AS since, COUNT(F.ip) AS failures, S.ip AS ip, MATCH_ROWTIME() AS at_time
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (F{3,} S) WITHIN INTERVAL '5' MINUTE
  DEFINE F AS NOT F.ok, S AS S.ok
) AS alarm;
