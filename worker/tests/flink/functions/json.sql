CREATE TABLE raw_lines (line STRING) WITH ('connector' = 'filesystem', 'path' = 'in/orders.json', 'format' = 'csv', 'csv.field-delimiter' = '^', 'csv.disable-quote-character' = 'true');

SELECT JSON_VALUE(line, '$.id' RETURNING INTEGER), JSON_VALUE(line, '$.customer'), JSON_VALUE(line, 'lax $.nothing' DEFAULT 'none' ON EMPTY),
  JSON_EXISTS(line, '$.amount'), JSON_QUERY(line, '$'), line IS JSON OBJECT, JSON_OBJECT('p' VALUE JSON_VALUE(line, '$.product'), 'l' VALUE CHAR_LENGTH(line)),
  JSON_ARRAY(1, JSON_VALUE(line, '$.price'))
FROM raw_lines;
