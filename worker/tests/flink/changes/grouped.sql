CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_debezium.json', 'format' = 'debezium-json');

SELECT owner, COUNT(*), SUM(balance), MAX(balance), COUNT(DISTINCT balance) FROM accounts GROUP BY owner;
