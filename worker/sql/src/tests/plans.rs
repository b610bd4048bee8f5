//! Golden plans.

use expect_test::{Expect, expect};

use super::planned;
use crate::explain;

const FLIGHTS: &str = "
CREATE TABLE flights (
  `date` TIMESTAMP(3), delay INT, distance INT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = 'flights', 'format' = 'json');
CREATE TABLE delays (window_start TIMESTAMP(3), origin STRING, flights BIGINT, late BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'delays', 'format' = 'parquet');
CREATE TABLE bids (
  id BIGINT, price DECIMAL(10, 2), s STRING, ms BIGINT, part INT METADATA FROM 'partition' VIRTUAL,
  ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'bids', 'format' = 'json');
CREATE TABLE odd (k STRING, t TIMESTAMP(3), lag_ms INT, WATERMARK FOR t AS t - lag_ms * INTERVAL '0.001' SECOND)
  WITH ('connector' = 'kafka', 'topic' = 'odd');
CREATE TABLE lossy (k STRING, t TIMESTAMP(3), v INT, WATERMARK FOR t AS t)
  WITH ('connector' = 'kafka', 'topic' = 'lossy', 'weir.late-rows.table' = 'missed');
CREATE TABLE missed (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'filesystem', 'path' = 'missed');
CREATE TABLE names (name STRING) WITH ('connector' = 'print');
CREATE TABLE pairs (delay INT, b STRING) WITH ('connector' = 'blackhole');
CREATE TABLE strict (a INT NOT NULL, b STRING) WITH ('connector' = 'print');
CREATE TABLE topics (topic STRING METADATA, v DECIMAL(10, 2)) WITH ('connector' = 'kafka', 'topic' = 'out');
";

fn check(sql: &str, expect: Expect) {
    let planned = planned(&format!("{FLIGHTS}{sql}"));
    // A first line without indentation keeps that of the others.
    expect.assert_eq(&format!("plan\n{}", explain::text(&planned.graph)));
}

#[test]
fn an_hourly_count_has_two_halves() {
    check(
        "INSERT INTO delays SELECT window_start, origin, COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              compute date, origin, delay > 15
                calc b80f27518294186e
                columns: date, origin, delay > 15
              hourly count by origin (local)
                local window aggregate 2e4336b62aff461d-local
                aggregates: COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly count by origin (local)
              hourly count by origin
                window aggregate 2e4336b62aff461d
                aggregates: COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*) FILTER (WHERE delay > 15)$count Int64, COUNT(*)$count Int64, origin Utf8
              select window_start, origin, flights, late
                calc 0caf99d08942351b
                columns: window_start, origin, COUNT(*) AS flights, COUNT(*) FILTER (WHERE delay > 15) AS late
              filesystem delays
                sink 5635ce715dad534e
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_projection_reads_only_its_columns() {
    check(
        "INSERT INTO names SELECT origin FROM flights;",
        expect![[r#"
        plan
          filesystem flights
            source ec68ad778ba3996e
            columns: date, origin
            reads: date, origin
            watermark: date - 1 h
          select name
            calc 2cb946ce541e8191
            columns: origin AS name
          print names
            sink 59e147d9e7382b3d
            guarantee: none
    "#]],
    );
}

#[test]
fn columns_that_match_need_no_calc() {
    check(
        "INSERT INTO pairs SELECT delay, origin FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              select delay, b
                calc b74210e28c102b01
                columns: delay, origin AS b
              blackhole pairs
                sink f0050a0c0a742353
                guarantee: none
        "#]],
    );
}

#[test]
fn a_filter_and_a_projection_are_one_calc() {
    check(
        "INSERT INTO names SELECT UPPER(origin) FROM (SELECT origin, delay + distance AS x FROM flights WHERE delay > 0) WHERE x > 10;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin
                reads: date, delay, distance, origin
                watermark: date - 1 h
              filter (delay > 0) AND ((delay + distance) > 10)
                calc f9c8ab63d96c33ac
                columns: UPPER(origin) AS name
                filter: (delay > 0) AND ((delay + distance) > 10)
              print names
                sink ab884c262a82a639
                guarantee: none
        "#]],
    );
}

#[test]
fn a_condition_that_is_constant_is_folded() {
    check(
        "INSERT INTO names SELECT origin FROM flights WHERE delay > 60 * 2 AND origin <> UPPER('sfo');",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              filter (delay > 120) AND (origin <> 'SFO')
                calc ab1ddc92182abf64
                columns: origin AS name
                filter: (delay > 120) AND (origin <> 'SFO')
              print names
                sink 7299fe7bed3e490c
                guarantee: none
        "#]],
    );
}

#[test]
fn a_view_is_merged_into_its_query() {
    check(
        "CREATE VIEW late AS SELECT origin AS o, delay AS d FROM flights WHERE delay > 15; INSERT INTO names SELECT o FROM late WHERE d < 60;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              filter (delay > 15) AND (delay < 60)
                calc 66ce505f3997b596
                columns: origin AS name
                filter: (delay > 15) AND (delay < 60)
              print names
                sink 00b6fbf65723af5a
                guarantee: none
        "#]],
    );
}

#[test]
fn a_cte_is_a_view_of_one_query() {
    check(
        "INSERT INTO names WITH late(o) AS (SELECT origin FROM flights WHERE delay > 15) SELECT o FROM late;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              filter delay > 15
                calc 0c8380e9d8c25dd6
                columns: origin AS name
                filter: delay > 15
              print names
                sink 929043d2ad5d3567
                guarantee: none
        "#]],
    );
}

#[test]
fn union_all_joins_flows() {
    check(
        "INSERT INTO names SELECT origin FROM flights WHERE delay > 1 UNION ALL SELECT destination FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin, destination
                reads: date, delay, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              filter delay > 1
                calc ec661fe0ce3c2bae
                columns: origin AS name
                filter: delay > 1

            ──► filesystem flights
              select name
                calc 89ad2cc4921185ff
                columns: destination AS name

            ──► filter delay > 1
            ──► select name
              print names
                sink e32588cb28906a40
                guarantee: none
        "#]],
    );
}

#[test]
fn a_filter_goes_below_union_all() {
    check(
        "INSERT INTO names SELECT o FROM (SELECT origin AS o FROM flights UNION ALL SELECT s FROM bids) WHERE o LIKE 'A%';",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              filter LIKE(origin, 'A%')
                calc cfbd2569a08ef793
                columns: origin AS name
                filter: LIKE(origin, 'A%')

              kafka bids
                source e0952551de01102b
                columns: s, ts
                reads: s, ms
                watermark: ts - 5 s
              filter LIKE(s, 'A%')
                calc b2fef037b4601832
                columns: s AS name
                filter: LIKE(s, 'A%')

            ──► filter LIKE(origin, 'A%')
            ──► filter LIKE(s, 'A%')
              print names
                sink 9109b60e7a6c7e30
                guarantee: none
        "#]],
    );
}

#[test]
fn values_are_a_bounded_source() {
    check(
        "INSERT INTO pairs VALUES (1, 'a'), (2, NULL);",
        expect![[r#"
        plan
          2 values
            source 68c917ffd3f88538
            rows: 2
          select delay, b
            calc bd19ae6641e6d7de
            columns: EXPR$0 AS delay, EXPR$1 AS b
          blackhole pairs
            sink 0501f1f28ab593bc
            guarantee: none
    "#]],
    );
}

#[test]
fn a_select_without_from_is_one_row() {
    check(
        "INSERT INTO pairs SELECT 1 + 1, 'x';",
        expect![[r#"
        plan
          1 values
            source 3e5b6151ff6fa2c0
            rows: 1
          compute delay, b
            calc 6dae59ba01c4e771
            columns: 2 AS delay, 'x' AS b
          blackhole pairs
            sink 6bf8f5184218356f
            guarantee: none
    "#]],
    );
}

#[test]
fn a_statement_set_shares_its_source() {
    check(
        "EXECUTE STATEMENT SET BEGIN INSERT INTO names SELECT origin FROM flights; INSERT INTO pairs SELECT delay, destination FROM flights; END;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin, destination
                reads: date, delay, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              select name
                calc 2cb946ce541e8191
                columns: origin AS name
              print names
                sink 59e147d9e7382b3d
                guarantee: none

            ──► filesystem flights
              select delay, b
                calc 103074e3b29be5f0
                columns: delay, destination AS b
              blackhole pairs
                sink f0050a0c0a742353
                guarantee: none
        "#]],
    );
}

#[test]
fn an_aggregation_read_twice_is_computed_once() {
    check(
        "CREATE VIEW h AS SELECT window_start, origin, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin;
BEGIN STATEMENT SET; INSERT INTO names SELECT origin FROM h WHERE c > 1; INSERT INTO names SELECT origin FROM h WHERE c < 1; END;",
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
              filter COUNT(*) > 1
                calc 33019efcdc376489
                columns: origin AS name
                filter: COUNT(*) > 1
              print names
                sink 5ebcd4b7ae8619f6
                guarantee: none

            ──► hourly count by origin
              filter COUNT(*) < 1
                calc edf60d53ff63772b
                columns: origin AS name
                filter: COUNT(*) < 1
              print names
                sink b418888c6dfe28a5
                guarantee: none
        "#]],
    );
}

#[test]
fn hop_with_every_aggregate() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '6' HOUR)) GROUP BY window_start, window_end, origin
HAVING COUNT(DISTINCT destination) > 1 AND SUM(delay) > 2 AND AVG(delay) > 3 AND MIN(distance) > 4 AND MAX(distance) > 5;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h
              6 h / 1 h distinct count, sum, avg, min, max by origin (local)
                local window aggregate aefa36dea37216dd-local
                aggregates: COUNT(DISTINCT destination), SUM(delay), AVG(delay), MIN(distance), MAX(distance)
                keys: origin
                time: date
                window: hop 6 h every 1 h

            ══► by origin: 6 h / 1 h distinct count, sum, avg, min, max by origin (local)
              6 h / 1 h distinct count, sum, avg, min, max by origin
                window aggregate aefa36dea37216dd
                aggregates: COUNT(DISTINCT destination), SUM(delay), AVG(delay), MIN(distance), MAX(distance)
                keys: origin
                time: date
                window: hop 6 h every 1 h
                state v1: $slice_end Int64, $visible_from Int64, AVG(delay)$count Int64, AVG(delay)$sum Int64, COUNT(DISTINCT destination)$values List(Utf8), MAX(distance)$max Int32, MIN(distance)$min Int32, SUM(delay)$sum Int64, origin Utf8
              filter ((((COUNT(DISTINCT destination) > 1) AND (SUM(delay)…
                calc 38e859c3f4395f21
                columns: origin AS name
                filter: ((((COUNT(DISTINCT destination) > 1) AND (SUM(delay) > 2)) AND (AVG(delay) > 3)) AND (MIN(distance) > 4)) AND (MAX(distance) > 5)
              print names
                sink 23676850b18cf916
                guarantee: none
        "#]],
    );
}

#[test]
fn named_arguments_and_an_offset() {
    check(
        "INSERT INTO names SELECT CAST(COUNT(*) AS STRING) FROM TABLE(TUMBLE(TIMECOL => DESCRIPTOR(`date`), DATA => TABLE flights, SIZE => INTERVAL '1' DAY, OFFSET => INTERVAL '8' HOUR)) GROUP BY window_start, window_end;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date
                reads: date
                watermark: date - 1 h
              daily count (local)
                local window aggregate 1860b3fc9817daeb-local
                aggregates: COUNT(*)
                time: date
                window: tumble 1 d, shifted by 8 h

            ══► to one subtask: daily count (local)
              daily count
                window aggregate 1860b3fc9817daeb
                aggregates: COUNT(*)
                time: date
                window: tumble 1 d, shifted by 8 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64
              compute name
                calc 20fb573db74531c5
                columns: CAST(COUNT(*) AS STRING) AS name
              print names
                sink 5387548804eb64b1
                guarantee: none
        "#]],
    );
}

#[test]
fn keys_may_be_expressions() {
    check(
        "INSERT INTO pairs SELECT delay / 10 + 1, SUBSTRING(origin, 1, 1) FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, delay / 10, SUBSTRING(origin, 1, 1);",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              compute date, delay / 10, SUBSTRING(origin, 1, 1)
                calc f50f9d67e0a17ad7
                columns: date, delay / 10, SUBSTRING(origin, 1, 1)
              hourly groups by delay / 10, SUBSTRING(origin, 1, 1) (local)
                local window aggregate 81fcf4803cfd81ec-local
                keys: delay / 10, SUBSTRING(origin, 1, 1)
                time: date
                window: tumble 1 h

            ══► by delay / 10, SUBSTRING(origin, 1, 1): hourly groups by delay / 10, SUBSTRING(origin, 1, 1) (local)
              hourly groups by delay / 10, SUBSTRING(origin, 1, 1)
                window aggregate 81fcf4803cfd81ec
                keys: delay / 10, SUBSTRING(origin, 1, 1)
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, SUBSTRING(origin, 1, 1) Utf8, delay / 10 Int32
              compute delay, b
                calc ad2e5297eda5a256
                columns: delay / 10 + 1 AS delay, SUBSTRING(origin, 1, 1) AS b
              blackhole pairs
                sink 806c84a03af43fa8
                guarantee: none
        "#]],
    );
}

#[test]
fn a_window_bound_is_an_expression_before_the_aggregation() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) WHERE window_start > TIMESTAMP '2001-01-01 00:00:00' GROUP BY window_start, window_end, origin;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              filter WINDOW_START[3600000,0](date) > TIMESTAMP '2001-01-0…
                calc d08ab72f978a5a34
                columns: date, origin
                filter: WINDOW_START[3600000,0](date) > TIMESTAMP '2001-01-01 00:00:00.000'
              hourly groups by origin (local)
                local window aggregate 4cdf1a269407e73b-local
                keys: origin
                time: date
                window: tumble 1 h

            ══► by origin: hourly groups by origin (local)
              hourly groups by origin
                window aggregate 4cdf1a269407e73b
                keys: origin
                time: date
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, origin Utf8
              select name
                calc 77806545aef70d09
                columns: origin AS name
              print names
                sink 8e2cfb2bd73c6db5
                guarantee: none
        "#]],
    );
}

#[test]
fn window_time_is_the_event_time_of_a_second_window() {
    check(
        "CREATE VIEW h AS SELECT window_time AS rt, origin, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time, origin;
INSERT INTO delays SELECT window_start, origin, SUM(c), MAX(c) FROM TABLE(TUMBLE(TABLE h, DESCRIPTOR(rt), INTERVAL '1' DAY)) GROUP BY window_start, window_end, origin;",
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
              select rt, origin, c
                calc 75e698e7e8b44b65
                columns: window_time AS rt, origin, COUNT(*) AS c
              daily sum, max by origin (local)
                local window aggregate a838288291d39293-local
                aggregates: SUM(c), MAX(c)
                keys: origin
                time: rt
                window: tumble 1 d

            ══► by origin: daily sum, max by origin (local)
              daily sum, max by origin
                window aggregate a838288291d39293
                aggregates: SUM(c), MAX(c)
                keys: origin
                time: rt
                window: tumble 1 d
                state v1: $slice_end Int64, $visible_from Int64, MAX(c)$max Int64, SUM(c)$sum Int64, origin Utf8
              select window_start, origin, flights, late
                calc 23bee56f6d7aa48b
                columns: window_start, origin, SUM(c) AS flights, MAX(c) AS late
              filesystem delays
                sink 3fdacf47485b3b88
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_hop_grouped_once_more_keeps_its_windows() {
    check(
        "CREATE VIEW h AS SELECT window_start, window_end, origin, COUNT(*) AS c FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) GROUP BY window_start, window_end, origin;
INSERT INTO delays SELECT window_start, 'all', MAX(c), MIN(c) FROM h GROUP BY window_start, window_end;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              2 h / 1 h count by origin (local)
                local window aggregate eb1dfd95772ee31a-local
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: hop 2 h every 1 h

            ══► by origin: 2 h / 1 h count by origin (local)
              2 h / 1 h count by origin
                window aggregate eb1dfd95772ee31a
                aggregates: COUNT(*)
                keys: origin
                time: date
                window: hop 2 h every 1 h
                state v1: $slice_end Int64, $visible_from Int64, COUNT(*)$count Int64, origin Utf8
              select c, window_time
                calc 0cf7709e0aa4852b
                columns: COUNT(*) AS c, window_time
              hourly max, min (local)
                local window aggregate cb45d06cd98e7353-local
                aggregates: MAX(c), MIN(c)
                time: window_time
                window: tumble 1 h

            ══► to one subtask: hourly max, min (local)
              hourly max, min
                window aggregate cb45d06cd98e7353
                aggregates: MAX(c), MIN(c)
                time: window_time
                window: tumble 1 h
                state v1: $slice_end Int64, $visible_from Int64, MAX(c)$max Int64, MIN(c)$min Int64
              compute window_start, origin, flights, late
                calc fcfb7f2a04e3453c
                columns: MOVE[-7200000](window_end) AS window_start, 'all' AS origin, MAX(c) AS flights, MIN(c) AS late
              filesystem delays
                sink 2d2f2e3c0377a7a8
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_tumble_without_group_by_adds_columns() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR));",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h
              compute date, delay, distance, origin, destination, window_…
                calc 87c4e6d5b4fb83d4
                columns: date, delay, distance, origin, destination, WINDOW_START[3600000,0](date) AS window_start, MOVE[3600000](WINDOW_START[3600000,0](date)) AS window_end, MOVE[3599999](WINDOW_START[3600000,0](date)) AS window_time
              compute window_start, origin, flights, late
                calc 170b416aa072104a
                columns: window_start, origin, 1 AS flights, 2 AS late
              filesystem delays
                sink 1945c3d8d8162aee
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn a_hop_without_group_by_copies_rows() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR));",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, distance, origin, destination
                reads: date, delay, distance, origin, destination
                watermark: date - 1 h

            ──► filesystem flights
              compute date, delay, distance, origin, destination, window_…
                calc 52bb52abb7d06005
                columns: date, delay, distance, origin, destination, WINDOW_START[3600000,0](date) AS window_start, MOVE[7200000](WINDOW_START[3600000,0](date)) AS window_end, MOVE[7199999](WINDOW_START[3600000,0](date)) AS window_time

            ──► filesystem flights
              compute date, delay, distance, origin, destination, window_…
                calc 6628bfd037cca374
                columns: date, delay, distance, origin, destination, MOVE[-3600000](WINDOW_START[3600000,0](date)) AS window_start, MOVE[7200000](MOVE[-3600000](WINDOW_START[3600000,0](date))) AS window_end, MOVE[7199999](MOVE[-3600000](WINDOW_START[3600000,0](date))) AS window_time

            ──► compute date, delay, distance, origin, destination, window_…
            ──► compute date, delay, distance, origin, destination, window_…
              compute window_start, origin, flights, late
                calc df5ebb1f5a3cc549
                columns: window_start, origin, 1 AS flights, 2 AS late
              filesystem delays
                sink bbb7a2270f2ee489
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn computed_columns_are_computed_at_the_source() {
    check(
        "INSERT INTO names SELECT s FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, s;",
        expect![[r#"
            plan
              kafka bids
                source e0952551de01102b
                columns: s, ts
                reads: s, ms
                watermark: ts - 5 s
              compute s, ts
                calc 42659e46a589ce4f
                columns: s, ts
              10 s groups by s (local)
                local window aggregate 8acc0d84f2bb807f-local
                keys: s
                time: ts
                window: tumble 10 s

            ══► by s: 10 s groups by s (local)
              10 s groups by s
                window aggregate 8acc0d84f2bb807f
                keys: s
                time: ts
                window: tumble 10 s
                state v1: $slice_end Int64, $visible_from Int64, s Utf8
              select name
                calc 8dbef3478c2a4c36
                columns: s AS name
              print names
                sink e06110ca562bd95e
                guarantee: none
        "#]],
    );
}

#[test]
fn a_watermark_may_be_any_expression() {
    check(
        "INSERT INTO names SELECT k FROM odd;",
        expect![[r#"
        plan
          kafka odd
            source ad31db9c73949ce6
            columns: k, t, watermark
            reads: k, t, lag_ms
            watermark: t - (INTERVAL '+0 00:00:00.001' * lag_ms)
          select name
            calc 5f47d13e654b2719
            columns: k AS name
          print names
            sink 358c2ce99ef8287e
            guarantee: none
    "#]],
    );
}

#[test]
fn metadata_columns_are_the_connectors() {
    check(
        "INSERT INTO topics SELECT s, price FROM bids;",
        expect![[r#"
        plan
          kafka bids
            source e0952551de01102b
            columns: price, s, ts
            reads: price, s, ms
            watermark: ts - 5 s
          select topic, v
            calc 4458d4f46c39724a
            columns: s AS topic, price AS v
          kafka topics
            sink 12a225433c63fe3a
            guarantee: at least once
    "#]],
    );
}

#[test]
fn late_rows_go_to_a_table() {
    check(
        "INSERT INTO names SELECT k FROM TABLE(TUMBLE(TABLE lossy, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;",
        expect![[r#"
            plan
              kafka lossy
                source 6f0ba132328160ae
                columns: k, t, v
                reads: k, t, v
                watermark: t
              minutely groups by k (local)
                local window aggregate d8eb8c7bb8bcc06f-local
                keys: k
                time: t
                window: tumble 1 min

            ══► by k: minutely groups by k (local)
              minutely groups by k
                window aggregate d8eb8c7bb8bcc06f
                keys: k
                time: t
                window: tumble 1 min
                state v1: $slice_end Int64, $visible_from Int64, k Utf8
              select name
                calc bb652a0f93f0ca25
                columns: k AS name
              print names
                sink 2e85b3f3e9d20105
                guarantee: none

            ──► late rows of minutely groups by k (local)
              late rows
                calc 52a84455f0326c3e
              filesystem missed
                sink 168b1d1b5a893ef0
                guarantee: exactly once
        "#]],
    );
}

#[test]
fn not_null_is_checked_before_the_sink() {
    check(
        "INSERT INTO strict SELECT delay, origin FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, delay, origin
                reads: date, delay, origin
                watermark: date - 1 h
              select a, b
                calc b74210e28c102b01
                columns: delay AS a, origin AS b
              print strict
                sink 59e147d9e7382b3d
                guarantee: none
        "#]],
    );
}

#[test]
fn columns_left_out_are_null() {
    check(
        "INSERT INTO pairs (b) SELECT origin FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date, origin
                reads: date, origin
                watermark: date - 1 h
              compute delay, b
                calc b3f45468d343267c
                columns: NULL AS delay, origin AS b
              blackhole pairs
                sink f0050a0c0a742353
                guarantee: none
        "#]],
    );
}

#[test]
fn the_clock_is_marked() {
    check(
        "INSERT INTO names SELECT CAST(CURRENT_TIMESTAMP AS STRING) FROM flights;",
        expect![[r#"
            plan
              filesystem flights
                source ec68ad778ba3996e
                columns: date
                reads: date
                watermark: date - 1 h
              compute EXPR$0
                calc bb63345c5c0ddda5
                columns: CAST(CURRENT_TIMESTAMP() AS STRING) AS EXPR$0
                not deterministic: reads the clock, so that rows computed again after a failure may differ
              select name
                calc bb63345c5c0ddda5-2
                columns: EXPR$0 AS name
              print names
                sink 59e147d9e7382b3d
                guarantee: none
        "#]],
    );
}

/// The uids of a program's operators that keep state, and its hash.
fn stable(sql: &str) -> (Vec<String>, String) {
    let graph = planned(&format!("{FLIGHTS}{sql}")).graph;
    let uids = graph
        .vertices
        .iter()
        .flat_map(|v| &v.chain)
        .filter(|(i, _)| i.state.is_some() || i.kind == "source");
    (uids.map(|(info, _)| info.uid.0.clone()).collect(), graph.hash.clone())
}

const COUNTS: &str = "INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin";

#[test]
fn uids_do_not_depend_on_names_positions_or_comments() {
    let (uids, hash) = stable(COUNTS);
    let renamed = COUNTS.replace("TABLE flights", "/* the same */ TABLE v");
    assert_eq!(stable(&format!("CREATE VIEW v AS\n\nSELECT *\n FROM flights; {renamed}")).0, uids);
    assert_eq!(stable(&format!("-- a comment\n{COUNTS}")), (uids, hash));
}

#[test]
fn another_aggregate_keeps_the_windows_uid_but_changes_the_hash() {
    let (uids, hash) = stable(COUNTS);
    let more = stable(&format!("{COUNTS} HAVING AVG(delay) > 1"));
    assert_eq!(more.0, uids);
    assert_ne!(more.1, hash);
}

#[test]
fn another_filter_key_or_window_is_another_state() {
    let window = |sql: &str| stable(sql).0.remove(1);
    let first = window(COUNTS);
    assert_ne!(window(&COUNTS.replace("GROUP", "WHERE delay > 1 GROUP")), first);
    assert_ne!(window(&COUNTS.replace("'1' HOUR", "'2' HOUR")), first);
    assert_ne!(window(&COUNTS.replace("origin", "destination")), first);
}

#[test]
fn equal_parts_get_different_uids() {
    let (uids, _) = stable(&format!("{COUNTS}; {}", COUNTS.replace("origin", "destination")));
    let mut unique = uids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), uids.len());
}

#[test]
fn the_json_form_names_operators_state_and_exchanges() {
    let json = explain::json(&planned(&format!("{FLIGHTS}{COUNTS}")).graph);
    assert_eq!(json["edges"][0]["exchange"], "hash");
    assert_eq!(json["edges"][0]["by"][0], "origin");
    assert_eq!(json["chains"][0]["operators"][0]["name"], "filesystem flights");
    assert_eq!(json["chains"][1]["operators"][0]["kind"], "window aggregate");
    assert!(json["chains"][1]["operators"][0]["state"]["columns"].is_object());
}

#[test]
fn a_job_is_bounded_when_all_of_its_sources_are() {
    assert!(planned(&format!("{FLIGHTS}{COUNTS}")).bounded);
    assert!(!planned(&format!("{FLIGHTS}INSERT INTO names SELECT s FROM bids")).bounded);
}
