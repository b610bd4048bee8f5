SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT id, window_start, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY t DESC) AS n FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(t), INTERVAL '1' DAY))) WHERE n <= 2;
