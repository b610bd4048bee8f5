SET 'table.exec.emit.early-fire.enabled' = 'true';
SET 'table.exec.emit.early-fire.delay' = '1 min';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
CREATE TABLE sums (we TIMESTAMP(3), n BIGINT, total BIGINT) WITH ('connector' = 'print');
INSERT INTO sums SELECT TUMBLE_END(ts, INTERVAL '10' SECOND), COUNT(*), SUM(id)
FROM late GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
