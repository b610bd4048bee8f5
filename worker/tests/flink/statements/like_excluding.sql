CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE shown (extra STRING) WITH ('connector' = 'print', 'print-identifier' = 'shown') LIKE orders (EXCLUDING ALL);
INSERT INTO shown SELECT id, customer, product, amount, price, paid, ts, 'x' FROM orders WHERE id < 4;
