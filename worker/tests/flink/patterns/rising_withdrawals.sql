CREATE TABLE withdrawals (
  account BIGINT, amount DECIMAL(10, 2), ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/withdrawals.json', 'format' = 'json');

SELECT * FROM withdrawals MATCH_RECOGNIZE (
  PARTITION BY account
  ORDER BY ts
  MEASURES S.amount AS least, LAST(R.amount) AS most, S.amount + SUM(R.amount) AS total, COUNT(R.amount) + 1 AS n, LAST(R.ts) AS until
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (S R{2,} E) WITHIN INTERVAL '1' HOUR
  DEFINE
    R AS R.amount > LAST(R.amount, 1) OR LAST(R.amount, 1) IS NULL AND R.amount > S.amount,
    E AS E.amount <= LAST(R.amount)
) AS alarm;
