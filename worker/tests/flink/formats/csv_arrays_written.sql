-- differs: a DECIMAL keeps its digits behind the point; Flink drops zeros
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE list (id BIGINT, names ARRAY<STRING>, pair ROW<price DECIMAL(10, 2), paid BOOLEAN>, sizes ARRAY<INT>)
WITH ('connector' = 'filesystem', 'path' = 'out/list', 'format' = 'csv', 'csv.array-element-delimiter' = ' ', 'csv.null-literal' = '-');

INSERT INTO list SELECT id, ARRAY[product, customer], ROW(price, paid), ARRAY[amount, 1] FROM orders;
