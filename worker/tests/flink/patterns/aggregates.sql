CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT * FROM prices MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES COUNT(A.price) AS n, SUM(A.price) AS s, AVG(A.price) AS a, MIN(A.price) AS lo, MAX(A.price) AS hi,
    COUNT(*) AS c, SUM(A.tax + 1) AS t, MAX(B.price) AS b, AVG(A.price * 1.5) AS d
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS SUM(A.price) < 60, B AS B.price > AVG(A.price)
) AS mr;
