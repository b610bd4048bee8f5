CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, SUM(amount) OVER w, COUNT(*) OVER w FROM trades
WINDOW w AS (PARTITION BY currency ORDER BY p ROWS BETWEEN 1 PRECEDING AND CURRENT ROW);
