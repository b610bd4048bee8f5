CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_debezium.json', 'format' = 'debezium-json');

CREATE TABLE plain (id BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out/plain', 'format' = 'json');
INSERT INTO plain SELECT id FROM accounts;
