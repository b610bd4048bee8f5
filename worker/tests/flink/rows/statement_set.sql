CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');

CREATE TABLE cheap (id BIGINT, price DECIMAL(10, 2)) WITH ('connector' = 'print', 'print-identifier' = 'cheap');
CREATE TABLE dear (id BIGINT, price DECIMAL(10, 2)) WITH ('connector' = 'print', 'print-identifier' = 'dear');

EXECUTE STATEMENT SET BEGIN
  INSERT INTO cheap SELECT id, price FROM orders WHERE price < 2.45;
  INSERT INTO dear SELECT id, price FROM orders WHERE price >= 2.45;
END;
