CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_debezium.json', 'format' = 'debezium-json');

CREATE TABLE kept (owner STRING, id BIGINT, twice DOUBLE) WITH ('connector' = 'filesystem', 'path' = 'out/kept', 'format' = 'debezium-json');
INSERT INTO kept SELECT owner, id, CAST(balance AS DOUBLE) FROM accounts WHERE id < 4;
