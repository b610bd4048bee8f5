SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT window_start, window_end, COUNT(*), MIN(id) FROM TABLE(HOP(TABLE rides, DESCRIPTOR(t), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) GROUP BY window_start, window_end;
