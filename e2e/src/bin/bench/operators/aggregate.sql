CREATE TABLE out_ (k BIGINT, bids BIGINT, total BIGINT, most BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO out_
SELECT k, COUNT(*), SUM(price), MAX(price)
FROM (SELECT MOD(bidder * 7919 + auction * 31 + price, 1000000) AS k, price FROM bid)
GROUP BY k;
