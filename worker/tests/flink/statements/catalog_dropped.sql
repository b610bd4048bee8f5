CREATE CATALOG shop WITH ('type' = 'generic_in_memory');
CREATE VIEW shop.`default`.t AS SELECT 1 AS a;
DROP CATALOG shop;
DROP CATALOG IF EXISTS shop;
SELECT a FROM shop.`default`.t;
