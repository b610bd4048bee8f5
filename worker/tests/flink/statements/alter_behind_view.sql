CREATE TABLE orders (id BIGINT, product STRING) WITH ('connector' = 'filesystem', 'path' = 'in/none.json', 'format' = 'json');
CREATE VIEW v AS SELECT id, product FROM orders WHERE id < 5;
ALTER TABLE orders SET ('path' = 'in/orders.json');
ALTER VIEW v RENAME TO few;
SELECT * FROM few;
