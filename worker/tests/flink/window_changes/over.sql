-- differs: OVER takes rows that are corrected; Flink's takes them only where it is ordered by another column than a time
CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT id, SUM(amount) OVER (PARTITION BY who ORDER BY ts) FROM visits;
