CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND), COUNT(*), SUM(amount), MAX(amount)
FROM visits GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
