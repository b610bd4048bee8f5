SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');
CREATE VIEW hours AS SELECT window_time AS t, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time;

SELECT window_start, window_end, window_time, SUM(n), COUNT(*) FROM TABLE(TUMBLE(TABLE hours, DESCRIPTOR(t), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time;
