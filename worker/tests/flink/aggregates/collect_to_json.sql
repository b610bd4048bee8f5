-- differs: the values of a MULTISET are sorted; in Flink they come in the order of a hash table
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE sets (customer STRING, products MULTISET<STRING>) WITH ('connector' = 'filesystem', 'path' = 'out/sets', 'format' = 'json');

INSERT INTO sets SELECT customer, COLLECT(product) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' MINUTE)) GROUP BY window_start, window_end, customer;
