CREATE TABLE prices (
  id BIGINT, symbol STRING, price INT, tax INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/prices.json', 'format' = 'json');

SELECT * FROM prices MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES FIRST(A.price) AS a1, FIRST(A.price, 1) AS a2, LAST(A.price) AS an, LAST(A.price, 1) AS am, LAST(A.price, 9) AS absent,
    FIRST(price) AS p1, LAST(price) AS pn, price AS p, A.price AS a, B.price + LAST(A.tax) AS sum_of
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS A.price > 9 AND A.price < 20, B AS B.price > FIRST(A.price)
) AS mr;
