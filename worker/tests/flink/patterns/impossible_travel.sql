CREATE TABLE places (
  usr STRING, city STRING, lat DOUBLE, lon DOUBLE, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/places.json', 'format' = 'json');

SELECT * FROM places MATCH_RECOGNIZE (
  PARTITION BY usr
  ORDER BY ts
  MEASURES A.city AS here, B.city AS there, TIMESTAMPDIFF(MINUTE, A.ts, B.ts) AS minutes
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B) WITHIN INTERVAL '2' HOUR
  DEFINE B AS
    6371 * 2 * ASIN(SQRT(
      POWER(SIN(RADIANS(B.lat - A.lat) / 2), 2) +
      COS(RADIANS(A.lat)) * COS(RADIANS(B.lat)) * POWER(SIN(RADIANS(B.lon - A.lon) / 2), 2)
    )) > 900 * TIMESTAMPDIFF(SECOND, A.ts, B.ts) / 3600.0
) AS alarm;
