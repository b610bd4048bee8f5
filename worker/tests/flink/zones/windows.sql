SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT window_start, window_end, window_time, COUNT(*), MIN(id) FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time;
