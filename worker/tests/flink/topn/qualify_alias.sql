-- differs: Flink leaves rows whose place another one has taken
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT id, product, ROW_NUMBER() OVER (PARTITION BY product ORDER BY amount DESC, id) AS place FROM orders QUALIFY place = 1;
