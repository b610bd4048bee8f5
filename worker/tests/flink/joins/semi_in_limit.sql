-- Only the first rows of the query inside count, not all of them.
CREATE VIEW orders AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, 30), (4, 40)) AS t (id, amount);
CREATE VIEW asked AS SELECT * FROM (VALUES (1), (2), (3), (4)) AS t (id);
SELECT id FROM asked WHERE id IN (SELECT id FROM orders ORDER BY amount DESC LIMIT 2);
