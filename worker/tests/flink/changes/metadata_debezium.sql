-- differs: files give the metadata of their format as Kafka does (there behind "value."); Flink has none for files
CREATE TABLE accounts (
  id BIGINT, owner STRING,
  seen TIMESTAMP_LTZ(3) METADATA FROM 'ingestion-timestamp' VIRTUAL,
  changed TIMESTAMP(3) METADATA FROM 'source.timestamp' VIRTUAL,
  db STRING METADATA FROM 'source.database' VIRTUAL,
  sch STRING METADATA FROM 'source.schema' VIRTUAL,
  tab STRING METADATA FROM 'source.table' VIRTUAL,
  properties MAP<STRING, STRING> METADATA FROM 'source.properties' VIRTUAL
) WITH ('connector' = 'filesystem', 'path' = 'in/sourced_debezium.json', 'format' = 'debezium-json');

SELECT id, owner, seen, changed, db, sch, tab, properties['db'], properties['snapshot'], properties['lsn'], CARDINALITY(properties)
FROM accounts;
