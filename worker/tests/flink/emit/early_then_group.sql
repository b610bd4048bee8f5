SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '0 s';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT n, COUNT(*) FROM (SELECT TUMBLE_END(ts, INTERVAL '10' SECOND), COUNT(*) AS n
FROM late GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)) GROUP BY n;
