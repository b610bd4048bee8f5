-- differs: Flink keeps a row of the inner Top-N that was replaced (FLINK-39966)
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

SELECT customer, id, m FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY price DESC, id) AS m FROM (
    SELECT customer, id, price FROM (
      SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY price DESC, id) AS n FROM orders) WHERE n = 1)) WHERE m <= 3;
