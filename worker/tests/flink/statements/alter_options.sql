CREATE TABLE orders (id BIGINT, product STRING) WITH ('connector' = 'filesystem', 'path' = 'in/none.json', 'format' = 'json', 'json.ignore-parse-errors' = 'true');
ALTER TABLE orders SET ('path' = 'in/orders.json');
ALTER TABLE orders RESET ('json.ignore-parse-errors');
SELECT id, product FROM orders;
