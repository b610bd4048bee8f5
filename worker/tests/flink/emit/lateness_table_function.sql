SET 'table.exec.emit.allow-lateness' = '1 h';
CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT window_end, COUNT(*), SUM(id) FROM TABLE(TUMBLE(TABLE late, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
