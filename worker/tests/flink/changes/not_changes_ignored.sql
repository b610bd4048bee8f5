CREATE TABLE accounts (id BIGINT, product STRING) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'debezium-json', 'debezium-json.ignore-parse-errors' = 'true');
SELECT id FROM accounts;
