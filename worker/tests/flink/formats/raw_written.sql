CREATE TABLE lines (line STRING) WITH ('connector' = 'filesystem', 'path' = 'out/lines', 'format' = 'raw', 'sink.parallelism' = '1');

INSERT INTO lines SELECT a FROM (VALUES ('one'), (''), ('two, "three"'), ('é')) AS t (a);
