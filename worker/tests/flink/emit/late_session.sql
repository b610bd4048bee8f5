SET 'table.exec.emit.late-fire.enabled' = 'true';
SET 'table.exec.emit.late-fire.delay' = '0 s';
SET 'table.exec.emit.allow-lateness' = '15 s';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT SESSION_START(ts, INTERVAL '3' SECOND), COUNT(*), SUM(id)
FROM late GROUP BY SESSION(ts, INTERVAL '3' SECOND);
