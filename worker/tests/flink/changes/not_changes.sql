CREATE TABLE accounts (id BIGINT, owner STRING) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'debezium-json');
SELECT id FROM accounts;
