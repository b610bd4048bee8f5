CREATE TABLE out_ (bidder BIGINT, price BIGINT, bids BIGINT, average BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO out_
SELECT bidder, price, COUNT(*) OVER w, AVG(price) OVER w FROM bid
WINDOW w AS (PARTITION BY bidder ORDER BY `dateTime` RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW);
