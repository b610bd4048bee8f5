CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW lengths AS SELECT id, ts, amount * INTERVAL '1' HOUR AS l, amount * INTERVAL '1' MONTH AS m FROM orders;
SELECT id, ts + l, ts - m, l + l, l * 2, CAST(l AS STRING), CASE WHEN amount > 1 THEN l END, COALESCE(l, INTERVAL '1' SECOND) FROM (SELECT *, CAST(id AS INT) AS amount FROM lengths) WHERE id < 5;
