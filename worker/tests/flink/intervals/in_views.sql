CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW waited AS SELECT id, customer, (ts - TIMESTAMP '2024-03-01 10:00:00') DAY TO SECOND AS d, amount * INTERVAL '1' MONTH AS m FROM orders;
CREATE VIEW long_ones AS SELECT * FROM waited WHERE d >= INTERVAL '4.5' SECOND OR m IS NULL;
SELECT a.id, a.d, b.m, a.d = b.d AS same, a.m > b.m AS more FROM long_ones a JOIN waited b ON a.id = b.id + 1;
