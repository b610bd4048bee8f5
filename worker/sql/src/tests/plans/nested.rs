//! Rows beside the elements of their values, and what is made of counts.

use expect_test::expect;

use super::check;

#[test]
fn an_unnest_takes_the_columns_that_are_read_and_filters_rows_before_it() {
    check(
        "CREATE TABLE tagged (id BIGINT, more STRING, tags ARRAY<STRING>, other INT)
  WITH ('connector' = 'filesystem', 'path' = 'tagged', 'format' = 'json');
CREATE TABLE shown (id BIGINT, tag STRING, n INT) WITH ('connector' = 'print');
INSERT INTO shown SELECT id, tag, n FROM tagged CROSS JOIN UNNEST(tags) WITH ORDINALITY AS t (tag, n)
 WHERE other > 7 AND tag <> 'x';",
        expect![[""]],
    );
}

#[test]
fn rows_without_elements_are_kept_and_a_computed_value_is_made_before() {
    check(
        "CREATE TABLE shown (origin STRING, part STRING) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, part FROM flights LEFT JOIN UNNEST(SPLIT(destination, '-')) AS t (part) ON TRUE;",
        expect![[""]],
    );
}

#[test]
fn except_all_counts_rows_and_gives_each_as_often_as_is_left() {
    check(
        "INSERT INTO names SELECT origin FROM flights EXCEPT ALL SELECT destination FROM flights;",
        expect![[""]],
    );
}
