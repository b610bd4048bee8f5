SELECT s, TRY_CAST(s AS INT), TRY_CAST(s AS DOUBLE), TRY_CAST(s AS DECIMAL(6, 2)), TRY_CAST(s AS BOOLEAN),
  TRY_CAST(s AS DATE), TRY_CAST(s AS TIMESTAMP(3)), TRY_CAST(s AS TIME)
FROM (VALUES ('42'), (' 7 '), ('1e3'), ('12.345'), ('true'), ('2024-02-29'), ('2024-1-2 3:4:5.6789'), ('11:22:33'),
  ('nonsense'), ('')) AS t (s);
