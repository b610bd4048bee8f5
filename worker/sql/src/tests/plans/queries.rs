//! Projections, filters, views, unions, shared parts.

use expect_test::expect;

use super::check;

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
fn groups_over_all_rows_keep_tables_and_correct_what_they_gave() {
    check(
        "SET 'table.exec.state.ttl' = '90 min';
CREATE TABLE shown (origin STRING, flights BIGINT, longest INT, routes BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT origin, COUNT(*), MAX(delay), COUNT(DISTINCT distance) FROM flights
 GROUP BY origin HAVING COUNT(*) > 1;",
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
              count, max, distinct count by origin
                group aggregate 05034d1a8f963164
                aggregates: COUNT(*), MAX(delay), COUNT(DISTINCT distance)
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                table groups: origin utf8 → COUNT(*)$count int64, MAX(delay)$max int32, COUNT(DISTINCT distance)$count int64; rows go 5400 s after they were written
                table values of COUNT(DISTINCT distance): origin utf8, by value int32; rows go 5400 s after they were written
                not deterministic: groups are forgotten 5400 s after their last row
              filter COUNT(*) > 1
                calc 91a7f7310d138c0d
                columns: origin, COUNT(*) AS flights, MAX(delay) AS longest, COUNT(DISTINCT distance) AS routes
                filter: COUNT(*) > 1
              print shown
                sink 7f8a9d3b4f66585f
                guarantee: none
        "#]],
    );
}

#[test]
fn a_corrected_group_is_grouped_again() {
    check(
        "CREATE TABLE shown (flights BIGINT, origins BIGINT, longest INT) WITH ('connector' = 'print');
INSERT INTO shown SELECT flights, COUNT(*), MAX(longest) FROM
 (SELECT origin, COUNT(*) AS flights, MAX(delay) AS longest FROM flights GROUP BY origin) GROUP BY flights;",
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

            ══► by origin: select delay, origin
              count, max by origin
                group aggregate 78239e73091f07ba
                aggregates: COUNT(*), MAX(delay)
                changes: rows are corrected: +I, -U, +U, -D
                keys: origin
                table groups: origin utf8 → COUNT(*)$count int64, MAX(delay)$max int32
              select flights, longest
                calc 061c9ceb4a0625e5
                columns: COUNT(*) AS flights, MAX(delay) AS longest

            ══► by flights: select flights, longest
              count, max by flights
                group aggregate d2c871476f8b3152
                aggregates: COUNT(*), MAX(longest)
                changes: rows are corrected: +I, -U, +U, -D
                keys: flights
                table groups: flights int64 → $rows int64, COUNT(*)$count int64, MAX(longest) 615e0726$max int32
                table values of MAX(longest) 615e0726: flights int64, by value int32 → count int64
              select flights, origins, longest
                calc 34bc0af0a001f086
                columns: flights, COUNT(*) AS origins, MAX(longest) AS longest
              print shown
                sink 3fe96b638a148fbd
                guarantee: none
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
