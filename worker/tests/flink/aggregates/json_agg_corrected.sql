CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT who, JSON_ARRAYAGG(amount), JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE amount) FROM visits GROUP BY who;
