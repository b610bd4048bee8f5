-- differs: beyond Flink: rows that are corrected are joined as any other rows are, so that both sides are kept
CREATE TABLE visits (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/visits_debezium.json', 'format' = 'debezium-json');
CREATE TABLE orders (
  id BIGINT, customer STRING, product STRING, amount INT, price DECIMAL(10, 2), paid BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'json');
SELECT v.id, o.id FROM visits v JOIN orders o ON v.who = o.customer AND v.ts BETWEEN o.ts - INTERVAL '2' SECOND AND o.ts + INTERVAL '2' SECOND;
