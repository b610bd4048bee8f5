CREATE TABLE odd (a INT, b STRING, c DOUBLE) WITH ('connector' = 'filesystem', 'path' = 'in/odd.csv', 'format' = 'csv',
  'csv.field-delimiter' = '|', 'csv.quote-character' = '''', 'csv.allow-comments' = 'true', 'csv.ignore-parse-errors' = 'true', 'csv.null-literal' = 'n/a');

SELECT * FROM odd;
