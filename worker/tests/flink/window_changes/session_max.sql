CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT window_start, window_end, who, MIN(amount), MAX(amount), COUNT(DISTINCT amount)
FROM TABLE(SESSION(TABLE visits PARTITION BY who, DESCRIPTOR(ts), INTERVAL '6' SECOND))
GROUP BY window_start, window_end, who;
