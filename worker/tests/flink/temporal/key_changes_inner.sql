CREATE TABLE places (id INT, place STRING, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '1' SECOND, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/moved_keys_debezium.json', 'format' = 'debezium-json');
CREATE TABLE asked (n INT, id INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'in/asked.json', 'format' = 'json');
SELECT a.n, p.id, p.place FROM asked a JOIN places FOR SYSTEM_TIME AS OF a.ts AS p ON a.id = p.id;
