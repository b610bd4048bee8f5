CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT symbol, hi FROM (SELECT symbol, price * 2 AS twice, ts FROM prices WHERE price > 5) MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES LAST(UP.twice) AS hi
  PATTERN (S UP{2})
  DEFINE UP AS UP.twice > LAST(UP.twice, 1) OR LAST(UP.twice, 1) IS NULL AND UP.twice > S.twice
);
