-- differs: files give the metadata of their format as Kafka does (there behind "value."); Flink has none for files
CREATE TABLE accounts (
  id BIGINT, owner STRING,
  tab STRING METADATA FROM 'table' VIRTUAL,
  keys ARRAY<STRING> METADATA FROM 'primary-keys' VIRTUAL,
  seen TIMESTAMP_LTZ(6) METADATA FROM 'ingestion-timestamp' VIRTUAL,
  changed TIMESTAMP(6) METADATA FROM 'event-timestamp' VIRTUAL
) WITH ('connector' = 'filesystem', 'path' = 'in/sourced_ogg.json', 'format' = 'ogg-json');

SELECT id, owner, tab, keys[1], seen, changed FROM accounts;
