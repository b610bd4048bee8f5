CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT)
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');
CREATE VIEW seen AS SELECT id, currency, PROCTIME() AS q FROM trades WHERE amount > 10;

SELECT id, currency FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY q) AS n FROM seen) WHERE n = 1;
