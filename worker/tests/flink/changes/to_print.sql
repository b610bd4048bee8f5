CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_ogg.json', 'format' = 'ogg-json');

CREATE TABLE shown (id BIGINT, owner STRING) WITH ('connector' = 'print', 'print-identifier' = 'shown');
INSERT INTO shown SELECT id, UPPER(owner) FROM accounts;
