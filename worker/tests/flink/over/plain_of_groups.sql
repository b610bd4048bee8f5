CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT currency, total, SUM(total) OVER (ORDER BY currency) FROM (SELECT currency, SUM(amount) AS total FROM trades GROUP BY currency);
