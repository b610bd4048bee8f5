CREATE TABLE list (id INT, tags ARRAY<STRING>, sizes ARRAY<INT>, place ROW<city STRING, n INT>)
WITH ('connector' = 'filesystem', 'path' = 'in/arrays.csv', 'format' = 'csv', 'csv.array-element-delimiter' = '|', 'csv.null-literal' = 'n/a');

SELECT * FROM list;
