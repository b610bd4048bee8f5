SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT window_end, COUNT(*), MAX(window_time), MIN(CAST(window_start AS STRING)), MAX(CAST(t AS STRING))
FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' DAY)) WHERE window_start > TIMESTAMP '2024-03-01 00:00:00' GROUP BY window_start, window_end;
