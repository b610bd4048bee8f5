CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

ALTER TABLE orders ADD (paid_at AS ts + INTERVAL '1' HOUR AFTER id, total AS amount * price);
ALTER TABLE orders DROP (customer, paid);
ALTER TABLE orders MODIFY amount BIGINT FIRST;
ALTER TABLE orders RENAME product TO what;
SELECT * FROM orders;
