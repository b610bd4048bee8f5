CREATE TABLE o (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/late.json', 'format' = 'json');

SELECT k, id FROM (SELECT MOD(id, 3) AS k, id, ROW_NUMBER() OVER (PARTITION BY MOD(id, 3) ORDER BY ts) AS n FROM o) WHERE n = 1;
