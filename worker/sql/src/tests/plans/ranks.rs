//! Top-N, deduplication, OVER.

use expect_test::expect;

use super::check;

#[test]
fn a_bounded_rank_is_a_top_n_that_keeps_what_is_read() {
    check(
        "CREATE TABLE shown (origin STRING, delay INT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, delay FROM
 (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY delay DESC, distance) AS rn FROM flights) WHERE rn <= 3 AND delay > 5;",
        expect![[""]],
    );
}

#[test]
fn a_rank_that_is_read_is_given_out() {
    check(
        "SET 'table.exec.state.ttl' = '1 h';
CREATE TABLE shown (origin STRING, n BIGINT, place BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, n, r FROM (SELECT origin, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*) DESC) AS r
 FROM flights GROUP BY origin) WHERE r BETWEEN 2 AND 4;",
        expect![[""]],
    );
}

#[test]
fn order_by_and_limit_rank_all_rows_together() {
    check(
        "CREATE TABLE shown (origin STRING) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin FROM flights ORDER BY delay DESC NULLS LAST LIMIT 2 OFFSET 1;",
        expect![[""]],
    );
}

#[test]
fn the_first_row_by_event_time_is_a_deduplication() {
    check(
        "INSERT INTO names SELECT origin FROM (SELECT origin, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY `date`) AS rn FROM flights) WHERE rn = 1;",
        expect![[""]],
    );
}

#[test]
fn windows_of_rows_are_one_operator_each() {
    check(
        "CREATE TABLE shown (origin STRING, total INT, n BIGINT, place BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, SUM(delay) OVER w, COUNT(*) OVER (w ROWS 5 PRECEDING), ROW_NUMBER() OVER (ORDER BY `date`)
 FROM flights WINDOW w AS (PARTITION BY origin ORDER BY `date`);",
        expect![[""]],
    );
}
