SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT a.id, b.id, a.window_start FROM (SELECT * FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' DAY))) a
JOIN (SELECT * FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' DAY))) b ON a.window_start = b.window_start AND a.window_end = b.window_end WHERE a.id < b.id;
