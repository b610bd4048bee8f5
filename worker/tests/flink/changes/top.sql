CREATE TABLE accounts (id BIGINT, owner STRING, balance DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'in/accounts_debezium.json', 'format' = 'debezium-json');

SELECT id, owner FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY balance DESC, id) AS n FROM accounts WHERE balance IS NOT NULL
) WHERE n <= 1;
