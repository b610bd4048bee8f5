SET 'table.local-time-zone' = 'Asia/Shanghai';
CREATE TABLE late (id INT, ts TIMESTAMP(3), t AS CAST(ts AS TIMESTAMP_LTZ(3)), WATERMARK FOR t AS t - INTERVAL '2' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');

SELECT window_start, window_end, COUNT(*), MIN(id) FROM TABLE(TUMBLE(TABLE late, DESCRIPTOR(t), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
