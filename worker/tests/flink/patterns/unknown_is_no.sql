CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT * FROM prices MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES A.id AS a, B.id AS b, A.price AS p, B.tax AS t
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE A AS A.price > 19 OR A.price IS NULL, B AS B.price > 5
) AS mr;
