CREATE DATABASE IF NOT EXISTS default_database;
CREATE DATABASE shop COMMENT 'what is sold' WITH ('owner' = 'x');
ALTER DATABASE shop SET ('owner' = 'y');
USE shop;
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW dear AS SELECT id, price FROM orders WHERE price > 4;
USE default_catalog.default_database;
CREATE TABLE orders (id BIGINT, price DECIMAL(10, 2)) WITH ('connector' = 'print', 'print-identifier' = 'kept');
INSERT INTO orders SELECT id, price FROM shop.dear;
SELECT dear.id, o.amount FROM shop.dear JOIN default_catalog.shop.orders AS o ON dear.id = o.id;
