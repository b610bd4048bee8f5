CREATE TABLE o (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');

CREATE VIEW v AS SELECT MOD(id, 3) AS k, id, ts FROM o;

SELECT window_start, window_end, k, SUM(id) FROM TABLE(SESSION(TABLE v PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND))
GROUP BY window_start, window_end, k;
