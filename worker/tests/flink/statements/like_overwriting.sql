CREATE TABLE base (
  id BIGINT, amount INT, ts TIMESTAMP(3), twice AS amount * 2,
  WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE TABLE own (
  product STRING, twice AS amount * 20,
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH ('json.ignore-parse-errors' = 'true') LIKE base (
  OVERWRITING GENERATED
  OVERWRITING WATERMARKS
  OVERWRITING OPTIONS
);
SELECT window_start, COUNT(*), SUM(twice), MIN(product)
FROM TABLE(TUMBLE(TABLE own, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
