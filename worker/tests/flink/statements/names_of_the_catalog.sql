USE CATALOG default_catalog;
USE default_database;
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE VIEW default_database.dear AS SELECT * FROM default_catalog.default_database.orders WHERE price > 4;
SELECT id, price FROM dear;
