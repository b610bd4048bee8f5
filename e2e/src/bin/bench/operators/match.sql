CREATE TABLE out_ (bidder BIGINT, began BIGINT, most BIGINT, fell BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO out_
SELECT bidder, began, most, fell FROM bid MATCH_RECOGNIZE (
  PARTITION BY bidder ORDER BY `dateTime`
  MEASURES a.price AS began, LAST(b.price) AS most, c.price AS fell
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (a b{3} c) WITHIN INTERVAL '1' MINUTE
  DEFINE
    b AS b.price > a.price AND (LAST(b.price, 1) IS NULL OR b.price > LAST(b.price, 1)),
    c AS c.price < a.price) AS m;
