CREATE CATALOG shop COMMENT 'what is sold' WITH ('type' = 'generic_in_memory', 'default-database' = 'goods');
CREATE CATALOG IF NOT EXISTS shop WITH ('type' = 'generic_in_memory');
USE CATALOG shop;
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
CREATE VIEW dear AS SELECT id, price FROM orders WHERE price > 4;
CREATE DATABASE other;
CREATE VIEW other.dear AS SELECT id, amount FROM goods.orders WHERE price > 3;
USE CATALOG default_catalog;
CREATE TABLE orders (id BIGINT, price DECIMAL(10, 2)) WITH ('connector' = 'print', 'print-identifier' = 'kept');
CREATE TABLE shop.other.orders (id BIGINT, amount INT) WITH ('connector' = 'print', 'print-identifier' = 'other');
EXECUTE STATEMENT SET BEGIN
INSERT INTO orders SELECT id, price FROM shop.goods.dear;
INSERT INTO shop.other.orders SELECT id, amount FROM shop.other.dear;
END;
