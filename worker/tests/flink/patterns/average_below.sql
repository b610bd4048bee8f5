CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT * FROM prices MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES FIRST(A.ts) AS start_ts, LAST(A.ts) AS end_ts, AVG(A.price) AS mean, COUNT(A.price) AS n
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS AVG(A.price) < 15
) AS mr;
