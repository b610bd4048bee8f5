CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_debezium.json', 'format' = 'debezium-json');

SELECT * FROM accounts WHERE balance > 5;
