-- differs: files give the metadata of their format as Kafka does (there behind "value."); Flink has none for files
CREATE TABLE accounts (
  id BIGINT, owner STRING,
  db STRING METADATA FROM 'database' VIRTUAL,
  tab STRING METADATA FROM 'table' VIRTUAL,
  keys ARRAY<STRING> METADATA FROM 'primary-key-columns' VIRTUAL,
  seen TIMESTAMP_LTZ(3) METADATA FROM 'ingestion-timestamp' VIRTUAL
) WITH ('connector' = 'filesystem', 'path' = 'in/sourced_maxwell.json', 'format' = 'maxwell-json');

SELECT id, owner, db, tab, keys[2], seen FROM accounts;
