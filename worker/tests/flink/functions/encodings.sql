CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, TO_BASE64(product), FROM_BASE64(TO_BASE64(customer)), HEX(id), HEX(product), BIN(amount), URL_ENCODE(product || ' & ' || customer),
  PARSE_URL('https://shop.example/' || product || '?n=' || CAST(id AS STRING), 'QUERY', 'n'), SHA1(customer), TRANSLATE(product, 'aeiou', '12345'),
  OVERLAY(product PLACING '--' FROM 2 FOR 1), REGEXP_COUNT(product, '[a-m]'), REGEXP_SUBSTR(product, '[aeiou]+'), ELT(amount, 'one', 'two', 'three')
FROM orders;
