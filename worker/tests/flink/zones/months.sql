SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

SELECT id, t + INTERVAL '1' MONTH, t - INTERVAL '1' YEAR, TIMESTAMPADD(MONTH, 1, t), TIMESTAMPDIFF(MONTH, t, t + INTERVAL '40' DAY), TIMESTAMPDIFF(MONTH, t, t + INTERVAL '31' DAY), TIMESTAMPADD(MONTH, 5, t), t + INTERVAL '5' MONTH
FROM instants;
