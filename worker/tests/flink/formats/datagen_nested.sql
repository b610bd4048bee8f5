CREATE TABLE orders (
  n BIGINT,
  buyer ROW<first_name STRING, age INT>,
  marks ARRAY<INT>,
  tags MAP<STRING, ARRAY<TINYINT>>,
  bag MULTISET<STRING>,
  code VARCHAR(12),
  pin CHAR(4)
) WITH (
  'connector' = 'datagen', 'number-of-rows' = '50',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '50',
  'fields.buyer.first_name.length' = '8', 'fields.buyer.age.min' = '18', 'fields.buyer.age.max' = '18',
  'fields.marks.length' = '5', 'fields.marks.element.min' = '3', 'fields.marks.element.max' = '3',
  'fields.tags.length' = '2', 'fields.tags.key.length' = '40', 'fields.tags.value.length' = '4',
  'fields.bag.length' = '6', 'fields.bag.element.length' = '30'
);

SELECT n, CHAR_LENGTH(buyer.first_name), buyer.age, CARDINALITY(marks), marks[5], CARDINALITY(tags), bag IS NULL,
  CHAR_LENGTH(code), CHAR_LENGTH(pin)
FROM orders;
