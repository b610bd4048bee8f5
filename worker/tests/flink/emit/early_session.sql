SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 s';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT SESSION_START(ts, INTERVAL '3' SECOND), COUNT(*), SUM(id)
FROM late GROUP BY SESSION(ts, INTERVAL '3' SECOND);
