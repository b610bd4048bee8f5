CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT * FROM prices MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES STRT.price AS top, LAST(DOWN.price) AS bottom, LAST(UP.price) AS again, COUNT(*) AS n,
    MIN(DOWN.price) AS lowest, SUM(UP.price * UP.tax) AS taxed, MATCH_ROWTIME() AS t
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (STRT DOWN+ UP+ STOP)
  DEFINE
    DOWN AS DOWN.price < LAST(DOWN.price, 1) OR (LAST(DOWN.price, 1) IS NULL AND DOWN.price < STRT.price),
    UP AS UP.price > LAST(UP.price, 1) OR (LAST(UP.price, 1) IS NULL AND UP.price > LAST(DOWN.price)),
    STOP AS STOP.price <= LAST(UP.price)
) AS mr;
