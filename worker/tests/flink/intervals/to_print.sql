CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE lengths (id BIGINT, l INTERVAL DAY TO SECOND(3), m INTERVAL YEAR TO MONTH) WITH ('connector' = 'print');
INSERT INTO lengths SELECT id, amount * INTERVAL '1' HOUR, amount * INTERVAL '1' MONTH FROM orders WHERE id < 5;
