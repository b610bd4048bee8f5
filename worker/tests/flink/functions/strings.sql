CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, CHAR_LENGTH(product), SUBSTRING(product FROM 2 FOR 2), REPLACE(product, 'e', '3'), LPAD(product, 6, '*'),
  POSITION('e' IN product), SPLIT_INDEX('a,b,c', ',', amount), REVERSE(product), INITCAP(customer), CONCAT_WS('-', customer, product),
  TRIM(BOTH 't' FROM product), MD5(product)
FROM orders;
