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
              compute delay, UPPER(origin)
                calc 1bbdbfcf2731d99e
                columns: delay, UPPER(origin)

            ══► by id, s: select id, s
            ══► by delay, UPPER(origin): compute delay, UPPER(origin)
              left join by id = delay, s = UPPER(origin)
                join b9d0543ff027f4e8
                changes: rows are corrected: +I, -U, +U, -D
                equal: id = delay, s = UPPER(origin)
                kind: left
                table left: id int64, s utf8 → $rows int64
                table right: delay int64, UPPER(origin) utf8 → $rows int64
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
                condition: left.n < right.n
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

#[test]
fn rows_near_each_other_in_time_are_kept_as_long_as_they_can_match() {
    check(
        "INSERT INTO pairs SELECT f.delay, b.s FROM flights f LEFT JOIN bids b
  ON f.delay = b.id AND CAST(b.ts AS TIMESTAMP(3)) < f.`date`;
INSERT INTO pairs SELECT f.delay, o.k FROM flights f LEFT JOIN odd o
  ON f.origin = o.k AND o.t BETWEEN f.`date` - INTERVAL '5' MINUTE AND f.`date` + INTERVAL '1' HOUR - INTERVAL '1' SECOND;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h

            ──► filesystem flights
              compute date, delay, delay#2
                calc 873a4f11a2e82a4f
                columns: date, delay, delay AS delay#2

              kafka bids
                source e0952551de01102b
                columns: id, s, ts
                reads: id, s, ms
                watermark: ts - 5 s

            ══► by delay#2: compute date, delay, delay#2
            ══► by id: kafka bids
              left join by delay#2 = id
                join caf3aa1a0f3c12d8
                changes: rows are corrected: +I, -U, +U, -D
                condition: CAST(ts AS TIMESTAMP(3)) < date
                equal: delay#2 = id
                kind: left
                table left: delay#2 int64, by date timestamp(ms), delay int32 → $rows int64, $matches int64
                table right: id int64, by s utf8, ts timestamp(ms,UTC) → $rows int64
              select delay, b
                calc 84a02c5557f6185d
                columns: delay, s AS b
              blackhole pairs
                sink 6e510d53ea8f523e
                guarantee: none

              kafka odd
                source ad31db9c73949ce6
                columns: k, t, watermark
                reads: k, t, lag_ms
                watermark: t - (INTERVAL '+0 00:00:00.001' * lag_ms)
              select k, t
                calc 373adbbe199240ae
                columns: k, t

            ══► by origin: filesystem flights
            ══► by k: select k, t
              interval left join by origin = k
                interval join a18dd586eeee3a72
                apart: t of right less date of left: -5 min to 3599 s
                changes: rows only come: +I
                condition: (t >= (date - INTERVAL '+0 00:05:00.000')) AND (t <= ((date + INTERVAL '+0 01:00:00.000') - INTERVAL '+0 00:00:01.000'))
                equal: origin = k
                kind: left
                table left: origin utf8, by $time int64, date timestamp(ms), delay int32 → $rows int64, $matches int64; rows go as time passes their order
                table right: k utf8, by $time int64, t timestamp(ms) → $rows int64; rows go as time passes their order
                table left to be given: origin utf8, by when it is due

            ──► interval left join by origin = k
              select delay, b
                calc 0711514354cfd1d1
                columns: delay, k AS b
              blackhole pairs
                sink ecf5349aa92a803a
                guarantee: none
        "#]],
    );
}

#[test]
fn queries_in_where_are_joins_of_rows_with_a_match_or_none() {
    check(
        "INSERT INTO names SELECT origin FROM flights f WHERE origin IN (SELECT k FROM odd WHERE lag_ms < f.delay)
 AND delay NOT IN (SELECT id FROM bids);",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              select delay, origin
                calc b74210e28c102b01
                columns: delay, origin

              kafka odd
                source ad31db9c73949ce6
                columns: k, t, lag_ms, watermark
                reads: k, t, lag_ms
                watermark: t - (INTERVAL '+0 00:00:00.001' * lag_ms)
              select k, lag_ms
                calc bbb57aac9167760b
                columns: k, lag_ms

            ══► by origin: select delay, origin
            ══► by k: select k, lag_ms
              rows that have a match by origin = k
                join 3a545621e1860379
                changes: rows only come: +I
                condition: lag_ms < delay
                equal: origin = k
                kind: semi
                table left: origin utf8, by delay int32 → $rows int64, $matches int64
                table right: k utf8, by lag_ms int32 → $rows int64

              kafka bids
                source e0952551de01102b
                columns: id, ts
                reads: id, ms
                watermark: ts - 5 s
              select id
                calc cdf8cd1b8c964772
                columns: id

            ══► to one subtask: rows that have a match by origin = k
            ══► to one subtask: select id
              rows that have no match
                join 425611af4ef1e959
                changes: rows are corrected: +I, -U, +U, -D
                condition: ((delay = id) OR (delay IS NULL)) OR (id IS NULL)
                kind: anti
                table left: one key, by delay int32, origin utf8 → $rows int64, $matches int64
                table right: one key, by id int64 → $rows int64
              select name
                calc e85b129fabddd654
                columns: origin AS name
              print names
                sink c550b12fb9de6e92
                guarantee: none
        "#]],
    );
}

#[test]
fn rows_of_the_same_windows_are_kept_until_these_are_over() {
    check(
        "CREATE TEMPORARY VIEW hourly AS SELECT origin, COUNT(*) n, window_start, window_end
  FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY origin, window_start, window_end;
INSERT INTO delays SELECT window_start, origin, COUNT(*), SUM(n) FROM (
  SELECT a.window_start, a.window_end, a.origin, b.n FROM hourly a LEFT JOIN hourly b
  ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.n < b.n)
 GROUP BY origin, window_start, window_end;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              hourly count by origin (local)
                local window aggregate 2e4336b62aff461d-local
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly count by origin (local)
              hourly count by origin
                window aggregate 2e4336b62aff461d
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, origin Utf8

            ──► hourly count by origin
              select origin, n, window_start, window_end
                calc b3b3a78c675c6461
                columns: origin, COUNT(*) AS n, window_start, window_end

            ──► hourly count by origin
              select n, window_start, window_end
                calc dc3aed8ce3509fb7
                columns: COUNT(*) AS n, window_start, window_end

            ══► by window_start, window_end: select origin, n, window_start, window_end
            ══► by window_start, window_end: select n, window_start, window_end
              window left join by window_start, window_end
                window join addbd9ea25a6566a
                apart: in the same window
                changes: rows only come: +I
                condition: left.n < right.n
                equal: window_start, window_end
                kind: left
                table left: window_start timestamp(ms), window_end timestamp(ms), by $time int64, origin utf8, n int64 → $rows int64, $matches int64; rows go as time passes their order
                table right: window_start timestamp(ms), window_end timestamp(ms), by $time int64, n int64 → $rows int64; rows go as time passes their order
                table left to be given: window_start timestamp(ms), window_end timestamp(ms), by when it is due

            ──► window left join by window_start, window_end
              compute origin, n, MOVE[-1](window_end)
                calc 115c07182e3511bc
                columns: origin, n, MOVE[-1](window_end)
              hourly count, sum by origin (local)
                local window aggregate 4492e218de31d7ac-local
                aggregates: COUNT(*), SUM(n)
                keys: origin
                time: MOVE[-1](window_end)
                window: tumble 1 h

            ══► by origin: hourly count, sum by origin (local)
              hourly count, sum by origin
                window aggregate 4492e218de31d7ac
                aggregates: COUNT(*), SUM(n)
                keys: origin
                time: MOVE[-1](window_end)
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, SUM(n) 1f09ff9d$sum Int64, origin Utf8
              select window_start, origin, flights, late
                calc c28ccafa7338bdcd
                columns: window_start, origin, COUNT(*) AS flights, SUM(n) AS late
              filesystem delays
                sink ebfcc2e3ca047d9c
                guarantee: exactly once
        "#]],
    );
}

/// A row that moves up is given at its new number before it goes from its old one, so that its own
/// key would not tell the two apart.
#[test]
fn numbered_rows_are_told_apart_by_their_numbers_and_not_by_what_they_are_grouped_by() {
    check(
        "INSERT INTO names SELECT r.origin FROM (SELECT origin, rn FROM (
   SELECT origin, ROW_NUMBER() OVER (ORDER BY c DESC) AS rn
   FROM (SELECT origin, COUNT(*) AS c FROM flights GROUP BY origin)) WHERE rn <= 3) r
 JOIN odd o ON r.origin = o.k AND r.rn < o.lag_ms;",
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
                table groups: origin utf8 → COUNT(*)$count int64

            ══► to one subtask: count by origin
              first 3 by c DESC
                top n 11a0a53b41aa48f4
                changes: rows are corrected: +I, -U, +U, -D
                order: c DESC
                rows: row number up to 3
                table rows: one key, by COUNT(*) int64, $arrival int64 → origin utf8
              select origin, rn
                calc 6b87398526c83f05
                columns: origin, ROW_NUMBER() AS rn

              kafka odd
                source ad31db9c73949ce6
                columns: k, t, lag_ms, watermark
                reads: k, t, lag_ms
                watermark: t - (INTERVAL '+0 00:00:00.001' * lag_ms)
              select k, lag_ms
                calc bbb57aac9167760b
                columns: k, lag_ms

            ══► by origin: select origin, rn
            ══► by k: select k, lag_ms
              join by origin = k
                join 288e4fcbe354ae98
                changes: rows are corrected: +I, -U, +U, -D
                condition: rn < lag_ms
                equal: origin = k
                kind: inner
                left rows by: rn
                table left: origin utf8, by rn int64
                table right: k utf8, by lag_ms int32 → $rows int64
              select name
                calc bcf2231d893451ea
                columns: origin AS name
              print names
                sink 4f06eeff469563d5
                guarantee: none
        "#]],
    );
}

#[test]
fn rows_meet_versions_of_their_time_and_tables_that_are_asked() {
    check(
        "CREATE TABLE rates (k STRING, rate INT, other STRING, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '1' SECOND,
  PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'kafka', 'topic' = 'rates');
CREATE TABLE cities (city STRING, code STRING) WITH ('connector' = 'filesystem', 'path' = 'cities');
INSERT INTO pairs SELECT r.rate, f.destination FROM flights f
  LEFT JOIN rates FOR SYSTEM_TIME AS OF f.`date` AS r ON f.origin = r.k AND r.rate < f.distance;
INSERT INTO pairs SELECT f.delay, c.city FROM flights f
  JOIN cities FOR SYSTEM_TIME AS OF PROCTIME() AS c ON f.origin = c.code WHERE c.city <> 'x';",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              select date, distance, origin, destination
                calc 7bd398724e7ee553
                columns: date, distance, origin, destination

              kafka rates
                source efab42dcd4c4e3e2
                columns: k, rate, at
                reads: k, rate, at
                watermark: at - 1 s

            ══► by origin: select date, distance, origin, destination
            ══► by k: kafka rates
              temporal left join by origin = k
                temporal join 136efd1db88702f3
                as of: date of left, versions by at of right
                changes: rows only come: +I
                condition: rate < distance
                equal: origin = k
                kind: left
                table waiting: origin utf8, by $time int64, $arrival int64 → distance int32, destination utf8
                table versions: k utf8, by $time int64 → $there boolean, rate int32
                table due: origin utf8, by when it is due
              select delay, b
                calc 50ed35e2641139d2
                columns: rate AS delay, destination AS b
              blackhole pairs
                sink eceb8779ed453a9e
                guarantee: none

            ──► filesystem flights
              select delay, origin
                calc b74210e28c102b01
                columns: delay, origin
              lookup join by origin = code
                lookup join 279223dd3dfeab29
                asks: cities
                equal: origin = code
                kind: inner
                table: read as a whole, once
                not deterministic: rows meet what the table says when it is asked, which may change
              select delay, b
                calc ab74ead889dffc53
                columns: delay, city AS b
              blackhole pairs
                sink cc18733790717712
                guarantee: none
        "#]],
    );
}
