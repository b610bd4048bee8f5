CREATE CATALOG shop WITH ('type' = 'generic_in_memory');
USE shop.`default`;
CREATE VIEW t AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (n, s);
CREATE DATABASE d;
USE d;
SELECT s, n, CURRENT_DATABASE() AS d FROM `default`.t;
