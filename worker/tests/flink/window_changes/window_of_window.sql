CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
CREATE VIEW small AS SELECT window_time AS wt, who, SUM(amount) AS total FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time, who;
SELECT window_end, SUM(total) FROM TABLE(TUMBLE(TABLE small, DESCRIPTOR(wt), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
