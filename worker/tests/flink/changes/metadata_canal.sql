-- differs: files give the metadata of their format as Kafka does (there behind "value."); Flink has none for files
CREATE TABLE accounts (
  `database` STRING METADATA VIRTUAL,
  id BIGINT,
  `table` STRING METADATA VIRTUAL,
  owner STRING,
  types MAP<STRING, INT> METADATA FROM 'sql-type' VIRTUAL,
  keys ARRAY<STRING> METADATA FROM 'pk-names' VIRTUAL,
  seen TIMESTAMP_LTZ(3) METADATA FROM 'ingestion-timestamp' VIRTUAL,
  changed TIMESTAMP_LTZ(3) METADATA FROM 'event-timestamp' VIRTUAL
) WITH ('connector' = 'filesystem', 'path' = 'in/sourced_canal.json', 'format' = 'canal-json');

SELECT id, owner, `database`, `table`, types['owner'], keys[1], seen, changed FROM accounts;
