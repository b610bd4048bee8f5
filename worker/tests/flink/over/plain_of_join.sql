CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT a.id, b.id, SUM(b.amount) OVER (PARTITION BY a.id ORDER BY b.id) FROM trades a LEFT JOIN trades b ON a.currency = b.currency AND a.id < b.id;
