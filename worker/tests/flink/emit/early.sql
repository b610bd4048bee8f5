SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 s';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT TUMBLE_END(ts, INTERVAL '10' SECOND), COUNT(*), SUM(id)
FROM late GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
