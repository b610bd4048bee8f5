CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, CAST(ts AS DATE), CAST(ts AS TIME), CAST(ts AS STRING), CAST(ts AS TIMESTAMP(0)), CAST(ts AS TIMESTAMP_LTZ(3))
FROM orders WHERE id < 5;
