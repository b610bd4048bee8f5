-- Questions about flights, for the SQL prompt. From the root of the repository:
--   cargo run --bin weir -- sql -f crds/examples/flights.sql
--   cargo run --bin weir -- sql -i crds/examples/flights.sql    asks on
CREATE TABLE flights (
  `date` TIMESTAMP(3), delay BIGINT, distance BIGINT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = 'data/flights-2001-01.parquet', 'format' = 'parquet');

SET 'execution.runtime-mode' = 'batch';

-- Where flights from five airports arrive late.
SELECT origin, COUNT(*) AS flights, COUNT(*) FILTER (WHERE delay > 15) AS late
FROM flights
WHERE origin IN ('ATL', 'ORD', 'DFW', 'LAX', 'JFK')
GROUP BY origin;
