-- differs: a table of changes is read to its end, and what is left of it is a table
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
SELECT COUNT(*) FROM visits;
