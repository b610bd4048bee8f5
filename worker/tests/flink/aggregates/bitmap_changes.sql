CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT who, BITMAP_TO_STRING(BITMAP_BUILD_AGG(amount)), BITMAP_BUILD_CARDINALITY_AGG(amount) FROM visits GROUP BY who;
