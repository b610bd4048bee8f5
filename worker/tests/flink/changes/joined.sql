CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_maxwell.json', 'format' = 'maxwell-json');

CREATE TABLE owners (owner STRING, country STRING) WITH ('connector' = 'filesystem', 'path' = 'in/owners.csv', 'format' = 'csv');
SELECT a.id, a.owner, o.country FROM accounts AS a LEFT JOIN owners AS o ON a.owner = o.owner;
