CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
CREATE TABLE sums (we TIMESTAMP(3), who STRING, total INT) WITH ('connector' = 'filesystem', 'path' = 'out/sums', 'format' = 'json');
INSERT INTO sums SELECT window_end, who, SUM(amount) FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, who;
