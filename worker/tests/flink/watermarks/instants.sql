CREATE TABLE orders (id BIGINT, amount INT, t AS TO_TIMESTAMP_LTZ(COALESCE(amount, 2) * 1000, 3), WATERMARK FOR t AS t - INTERVAL '0.5' SECOND) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, CURRENT_WATERMARK(t) FROM orders WHERE amount IS NOT NULL;
