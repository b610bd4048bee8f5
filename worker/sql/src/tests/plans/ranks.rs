//! Top-N, deduplication, OVER.

use expect_test::expect;

use super::check;

#[test]
fn a_bounded_rank_is_a_top_n_that_keeps_what_is_read() {
    check(
        "CREATE TABLE shown (origin STRING, delay INT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, delay FROM
 (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY delay DESC, distance) AS rn FROM flights) WHERE rn <= 3 AND delay > 5;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin
                reads: date, delay, distance, origin
                watermark: date - 1 h
              select delay, distance, origin
                calc 9f44966748b7953f
                columns: delay, distance, origin

            ══► by origin: select delay, distance, origin
              first 3 by delay DESC, distance of each origin
                top n fd2ec5ed5ee575a9
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                order: delay DESC, distance
                rows: row number up to 3
                table rows: origin utf8, by delay int32, distance int32, $arrival int64
              filter delay > 5
                calc cf4ad39cf18439ae
                columns: origin, delay
                filter: delay > 5
              print shown
                sink 95d1973a5ce8eab2
                guarantee: none
        "#]],
    );
}

#[test]
fn a_rank_that_is_read_is_given_out() {
    check(
        "SET 'table.exec.state.ttl' = '1 h';
CREATE TABLE shown (origin STRING, n BIGINT, place BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, n, r FROM (SELECT origin, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*) DESC) AS r
 FROM flights GROUP BY origin) WHERE r BETWEEN 2 AND 4;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              select origin
                calc 2cb946ce541e8191
                columns: origin

            ══► by origin: select origin
              count by origin
                group aggregate bbbac8e3c336e2f1
                aggregates: COUNT(*)
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                table groups: origin utf8 → COUNT(*)$count int64; rows go 3600 s after they were written
                not deterministic: groups are forgotten 3600 s after their last row

            ══► to one subtask: count by origin
              rows 2 to 4 by n DESC
                top n 390116b182e43ae1
                changes: rows are corrected: +I, -U, +U, -D
                order: n DESC
                rows: rank 2 to 4
                table rows: one key, by COUNT(*) int64, $arrival int64 → origin utf8; rows go 3600 s after they were written
                not deterministic: ranked rows of a key are forgotten 3600 s after its last change
              select origin, n, place
                calc 03cedf8c7aea4cc3
                columns: origin, n, RANK() AS place
              print shown
                sink 61c4067b4e4a217d
                guarantee: none
        "#]],
    );
}

#[test]
fn order_by_and_limit_rank_all_rows_together() {
    check(
        "CREATE TABLE shown (origin STRING) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin FROM flights ORDER BY delay DESC NULLS LAST LIMIT 2 OFFSET 1;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              select origin, $order0
                calc 40d7f31bf2ebdac6
                columns: origin, delay AS $order0

            ══► to one subtask: select origin, $order0
              rows 2 to 3 by $order0 DESC
                top n 4f2bf8ba0e84f25d
                changes: rows are corrected: +I, -U, +U, -D
                order: $order0 DESC
                rows: row number 2 to 3
                table rows: one key, by $order0 int32, $arrival int64 → origin utf8
              select origin
                calc 097d2a6c32b51b9c
                columns: origin
              print shown
                sink 060874c6d10da512
                guarantee: none
        "#]],
    );
}

#[test]
fn the_first_row_by_event_time_is_a_deduplication() {
    check(
        "INSERT INTO names SELECT origin FROM (SELECT origin, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY `date`) AS rn FROM flights) WHERE rn = 1;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              select origin, date
                calc e67a57f771ef53a8
                columns: origin, date

            ══► by origin: select origin, date
              first row of each origin
                deduplication ceaacccf67236208
                changes: rows only come: +I
                keeps: the first row
                keys: origin
                order: date
                table rows: origin utf8 → $given boolean, date timestamp(ms)
                table due: origin utf8, by when it is due
              select name
                calc 5d2758a93a9507de
                columns: origin AS name
              print names
                sink 78c3c0ec9e285d8d
                guarantee: none
        "#]],
    );
}

#[test]
fn windows_of_rows_are_one_operator_each() {
    check(
        "CREATE TABLE shown (origin STRING, total INT, n BIGINT, place BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, SUM(delay) OVER w, COUNT(*) OVER (w ROWS 5 PRECEDING), ROW_NUMBER() OVER (ORDER BY `date`)
 FROM flights WINDOW w AS (PARTITION BY origin ORDER BY `date`);",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              select origin, date, delay
                calc 82a682b44d4ea98e
                columns: origin, date, delay

            ══► by origin: select origin, date, delay
              sum, count over date of each origin
                over e815971993f93f51
                functions: SUM(delay), COUNT(*) over 5 rows before
                keys: origin
                order: date
                table rows: origin utf8, by date timestamp(ms), $arrival int64 → delay int32
                table known: origin utf8 → $last int64, $rows int64, $groups int64, SUM(delay) f097ce42$sum int64
                table due: origin utf8, by when it is due
              select origin, date, SUM(delay), COUNT(*)
                calc 6ee4f2a4beaee5a8
                columns: origin, date, SUM(delay), COUNT(*)

            ══► to one subtask: select origin, date, SUM(delay), COUNT(*)
              row_number over date
                over d079925fd5cf8458
                functions: ROW_NUMBER()
                order: date
                table rows: one key, by date timestamp(ms), $arrival int64 → origin utf8, SUM(delay) int32, COUNT(*) int64
                table known: one key → $last int64, $rows int64, $groups int64
                table due: one key, by when it is due
              select origin, total, n, place
                calc 223f4efc83259aff
                columns: origin, SUM(delay) AS total, COUNT(*) AS n, ROW_NUMBER() AS place
              print shown
                sink f719b8e0e36d3c11
                guarantee: none
        "#]],
    );
}
