//! What tables add: computed columns, watermarks, metadata, constraints.

use expect_test::expect;

use super::check;

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
