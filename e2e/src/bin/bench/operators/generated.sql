CREATE TABLE auction (id BIGINT, seller BIGINT, category BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '100000000', 'number-of-rows' = '{auctions}',
  'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '{last_auction}',
  'fields.seller.min' = '0', 'fields.seller.max' = '9999',
  'fields.category.min' = '0', 'fields.category.max' = '9');
CREATE TABLE bid (
  n BIGINT, auction BIGINT, bidder BIGINT, price BIGINT,
  `dateTime` AS CAST(TO_TIMESTAMP_LTZ(n, 3) AS TIMESTAMP(3)),
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH (
  'connector' = 'datagen', 'rows-per-second' = '100000000', 'number-of-rows' = '{rows}',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}',
  'fields.auction.min' = '0', 'fields.auction.max' = '{last_auction}',
  'fields.bidder.min' = '0', 'fields.bidder.max' = '9999',
  'fields.price.min' = '1', 'fields.price.max' = '1000000');
