SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE rides (id INT, t TIMESTAMP_LTZ(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/moments.json', 'format' = 'json');

SELECT * FROM TABLE(HOP(TABLE rides, DESCRIPTOR(t), INTERVAL '12' HOUR, INTERVAL '1' DAY));
