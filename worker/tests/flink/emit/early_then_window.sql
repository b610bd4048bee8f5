SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 s';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
CREATE VIEW small AS SELECT TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND) AS wt, COUNT(*) AS n
FROM late GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
SELECT window_end, SUM(n) FROM TABLE(TUMBLE(TABLE small, DESCRIPTOR(wt), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
