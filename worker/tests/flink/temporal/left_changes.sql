CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
CREATE TABLE places (who STRING, place STRING, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at`, PRIMARY KEY (who) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/who_places.json', 'format' = 'json');
SELECT v.id, v.who, v.amount, p.place FROM visits v LEFT JOIN places FOR SYSTEM_TIME AS OF v.ts AS p ON v.who = p.who;
