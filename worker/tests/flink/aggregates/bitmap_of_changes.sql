CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT BITMAP_TO_STRING(BITMAP_OR_AGG(b)), BITMAP_TO_STRING(BITMAP_AND_AGG(b)), BITMAP_XOR_CARDINALITY_AGG(b) FROM (SELECT who, BITMAP_BUILD_AGG(amount) AS b FROM visits GROUP BY who);
