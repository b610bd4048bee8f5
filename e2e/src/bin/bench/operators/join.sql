CREATE TABLE out_ (auction BIGINT, bidder BIGINT, price BIGINT, seller BIGINT, category BIGINT)
WITH ('connector' = 'blackhole');
INSERT INTO out_
SELECT b.auction, b.bidder, b.price, a.seller, a.category
FROM bid AS b JOIN auction AS a ON b.auction = a.id;
