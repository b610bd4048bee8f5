CREATE TABLE out_ (auction BIGINT, bidder BIGINT, price BIGINT, place BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO out_
SELECT auction, bidder, price, place FROM (
  SELECT auction, bidder, price,
    ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid)
WHERE place <= 10;
