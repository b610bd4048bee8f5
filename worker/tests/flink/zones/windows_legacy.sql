SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT TUMBLE_START(t, INTERVAL '1' DAY), TUMBLE_END(t, INTERVAL '1' DAY), TUMBLE_ROWTIME(t, INTERVAL '1' DAY), COUNT(*) FROM rides GROUP BY TUMBLE(t, INTERVAL '1' DAY);
