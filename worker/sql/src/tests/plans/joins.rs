//! Joins.

use expect_test::expect;

use super::check;

#[test]
fn a_join_keeps_what_is_read_and_finds_rows_by_equal_columns() {
    check(
        "INSERT INTO names SELECT f.origin FROM flights f JOIN odd o ON f.origin = o.k AND f.delay > 3
 WHERE o.lag_ms < f.distance;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin
                reads: date, delay, distance, origin
                watermark: date - 1 h
              filter delay > 3
                calc 33ecf36894d4feab
                columns: distance, origin
                filter: delay > 3

              kafka odd
                source ad31db9c73949ce6
                columns: k, t, lag_ms, watermark
                reads: k, t, lag_ms
                watermark: t - (INTERVAL '+0 00:00:00.001' * lag_ms)
              select k, lag_ms
                calc bbb57aac9167760b
                columns: k, lag_ms

            ══► by origin: filter delay > 3
            ══► by k: select k, lag_ms
              join by origin = k
                join d06e7d5a04b86dbc
                changes: rows only come: +I
                condition: lag_ms < distance
                equal: origin = k
                kind: inner
                table left: origin utf8, by distance int32 → $rows int64
                table right: k utf8, by lag_ms int32 → $rows int64
              select name
                calc 9a1ac830f0f78214
                columns: origin AS name
              print names
                sink 7e93689b6bc7b15e
                guarantee: none
        "#]],
    );
}

#[test]
fn keys_of_other_types_are_columns_of_their_own() {
    check(
        "INSERT INTO names SELECT b.s FROM bids b LEFT JOIN flights f ON b.id = f.delay AND UPPER(f.origin) = b.s;",
        expect![[r#"
            plan
              kafka bids
                source e0952551de01102b
                columns: id, s, ts
                reads: id, s, ms
                watermark: ts - 5 s
              select id, s
                calc e0f38ff8e67d6b9d
                columns: id, s

              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              compute delay, origin, delay#2, UPPER(origin)
                calc 4ab9b58ff0c9cade
                columns: delay, origin, delay AS delay#2, UPPER(origin)

            ══► by id, s: select id, s
            ══► by delay#2, UPPER(origin): compute delay, origin, delay#2, UPPER(origin)
              left join by id = delay#2, s = UPPER(origin)
                join e2916472f878b2f2
                changes: rows are corrected: +I, -U, +U, -D
                equal: id = delay#2, s = UPPER(origin)
                kind: left
                table left: id int64, s utf8 → $rows int64
                table right: delay#2 int64, UPPER(origin) utf8, by delay int32, origin utf8 → $rows int64
              select name
                calc 68fd33976f28e79a
                columns: s AS name
              print names
                sink 5ce88c3d167593c6
                guarantee: none
        "#]],
    );
}

#[test]
fn rows_that_a_key_tells_apart_take_the_place_of_each_other() {
    check(
        "INSERT INTO names SELECT a.origin FROM
  (SELECT origin, COUNT(*) n FROM flights GROUP BY origin) a
  JOIN (SELECT destination, COUNT(*) n FROM flights GROUP BY destination) b
  ON a.origin = b.destination AND a.n < b.n;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin, destination
                reads: date, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              select origin
                calc 2cb946ce541e8191
                columns: origin

            ══► by origin: select origin
              count by origin
                group aggregate bbbac8e3c336e2f1
                aggregates: COUNT(*)
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                table groups: origin utf8 → COUNT(*)$count int64

            ──► filesystem flights
              select destination
                calc 89ad2cc4921185ff
                columns: destination

            ══► by destination: select destination
              count by destination
                group aggregate 6c477a07345d7fb4
                aggregates: COUNT(*)
                changes: rows are corrected: +I, -U, +U, -D
                keys: destination
                table groups: destination utf8 → COUNT(*)$count int64

            ══► by origin: count by origin
            ══► by destination: count by destination
              join by origin = destination
                join 94b1856ab6dbed85
                changes: rows are corrected: +I, -U, +U, -D
                condition: n < n
                equal: origin = destination
                kind: inner
                left rows by: origin
                right rows by: destination
                table left: origin utf8 → COUNT(*) int64
                table right: destination utf8 → COUNT(*) int64
              select name
                calc 718d73d4607baca2
                columns: origin AS name
              print names
                sink 6886552f41994569
                guarantee: none
        "#]],
    );
}

#[test]
fn a_join_that_two_read_is_one() {
    check(
        "CREATE VIEW both_ways AS SELECT a.origin, b.destination, a.delay FROM flights a JOIN flights b ON a.origin = b.origin;
INSERT INTO names SELECT destination FROM both_ways;
INSERT INTO pairs SELECT delay, origin FROM both_ways WHERE delay > 3;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin, destination
                reads: date, delay, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              select delay, origin
                calc b74210e28c102b01
                columns: delay, origin

            ──► filesystem flights
              select origin, destination
                calc 8ca21d08a3045c71
                columns: origin, destination

            ══► by origin: select delay, origin
            ══► by origin: select origin, destination
              join by origin
                join 6f22bbce80da447c
                changes: rows only come: +I
                equal: origin
                kind: inner
                table left: origin utf8, by delay int32 → $rows int64
                table right: origin utf8, by destination utf8 → $rows int64

            ──► join by origin
              select name
                calc e9ec2765d5e81566
                columns: destination AS name
              print names
                sink d863d79d96c49559
                guarantee: none

            ──► join by origin
              filter delay > 3
                calc b4209d6da69f13d0
                columns: delay, origin AS b
                filter: delay > 3
              blackhole pairs
                sink d2cfcf41affcbd15
                guarantee: none
        "#]],
    );
}
