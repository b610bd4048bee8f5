CREATE TABLE log (line STRING) WITH ('connector' = 'filesystem', 'path' = 'in/lines.txt', 'format' = 'raw');

SELECT CHAR_LENGTH(line), line FROM log;
