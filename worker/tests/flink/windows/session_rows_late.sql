CREATE TABLE late (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');
SELECT id, window_start, window_end FROM TABLE(SESSION(TABLE late, DESCRIPTOR(ts), INTERVAL '3' SECOND));
