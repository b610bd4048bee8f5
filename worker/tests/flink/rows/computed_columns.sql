CREATE TABLE o (id BIGINT, amount INT, price DECIMAL(10, 2), total AS amount * price,
  who AS UPPER(customer), customer STRING)
WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT id, total, who FROM o WHERE total > 5;
