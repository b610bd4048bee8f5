CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT a.id, b.id, a.l FROM (SELECT id, amount * INTERVAL '1' DAY AS l FROM orders WHERE id < 6) a JOIN (SELECT id, amount * INTERVAL '24' HOUR AS l FROM orders WHERE id < 6) b ON a.l = b.l;
