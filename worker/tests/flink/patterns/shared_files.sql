CREATE TABLE shares (
  usr STRING, act STRING, file STRING, dom STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'in/shares.json', 'format' = 'json');

SELECT * FROM shares MATCH_RECOGNIZE (
  PARTITION BY usr
  ORDER BY ts
  MEASURES C.file AS file, LAST(S.dom) AS dom, C.ts AS created, D.ts AS taken
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (C S+ D) WITHIN INTERVAL '1' HOUR
  DEFINE
    C AS C.act = 'create',
    S AS S.act = 'share' AND S.file = C.file AND S.dom <> 'corp.example',
    D AS D.act = 'download' AND D.file = C.file AND D.dom = FIRST(S.dom)
) AS alarm;
