CREATE TABLE trades (id INT, currency STRING, region STRING, amount INT, p AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = 'in/trades.json', 'format' = 'json');

SELECT id, currency FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY p) AS n FROM trades) WHERE n <= 2;
