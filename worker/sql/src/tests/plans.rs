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
    expect.assert_eq(&explain::text(&planned.graph));
}

#[test]
fn an_hourly_count_has_two_halves() {
    check(
        "INSERT INTO delays SELECT window_start, origin, COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin;",
        expect![""],
    );
}

#[test]
fn a_projection_reads_only_its_columns() {
    check("INSERT INTO names SELECT origin FROM flights;", expect![""]);
}

#[test]
fn columns_that_match_need_no_calc() {
    check(
        "INSERT INTO pairs SELECT delay, origin FROM flights;",
        expect![""],
    );
}

#[test]
fn a_filter_and_a_projection_are_one_calc() {
    check(
        "INSERT INTO names SELECT UPPER(origin) FROM (SELECT origin, delay + distance AS x FROM flights WHERE delay > 0) WHERE x > 10;",
        expect![""],
    );
}

#[test]
fn a_condition_that_is_constant_is_folded() {
    check(
        "INSERT INTO names SELECT origin FROM flights WHERE delay > 60 * 2 AND origin <> UPPER('sfo');",
        expect![""],
    );
}

#[test]
fn a_view_is_merged_into_its_query() {
    check(
        "CREATE VIEW late AS SELECT origin AS o, delay AS d FROM flights WHERE delay > 15; INSERT INTO names SELECT o FROM late WHERE d < 60;",
        expect![""],
    );
}

#[test]
fn a_cte_is_a_view_of_one_query() {
    check(
        "INSERT INTO names WITH late(o) AS (SELECT origin FROM flights WHERE delay > 15) SELECT o FROM late;",
        expect![""],
    );
}

#[test]
fn union_all_joins_flows() {
    check(
        "INSERT INTO names SELECT origin FROM flights WHERE delay > 1 UNION ALL SELECT destination FROM flights;",
        expect![""],
    );
}

#[test]
fn a_filter_goes_below_union_all() {
    check(
        "INSERT INTO names SELECT o FROM (SELECT origin AS o FROM flights UNION ALL SELECT s FROM bids) WHERE o LIKE 'A%';",
        expect![""],
    );
}

#[test]
fn values_are_a_bounded_source() {
    check("INSERT INTO pairs VALUES (1, 'a'), (2, NULL);", expect![""]);
}

#[test]
fn a_select_without_from_is_one_row() {
    check("INSERT INTO pairs SELECT 1 + 1, 'x';", expect![""]);
}

#[test]
fn a_statement_set_shares_its_source() {
    check(
        "EXECUTE STATEMENT SET BEGIN INSERT INTO names SELECT origin FROM flights; INSERT INTO pairs SELECT delay, destination FROM flights; END;",
        expect![""],
    );
}

#[test]
fn an_aggregation_read_twice_is_computed_once() {
    check(
        "CREATE VIEW h AS SELECT window_start, origin, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin;
BEGIN STATEMENT SET; INSERT INTO names SELECT origin FROM h WHERE c > 1; INSERT INTO names SELECT origin FROM h WHERE c < 1; END;",
        expect![""],
    );
}

#[test]
fn hop_with_every_aggregate() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '6' HOUR)) GROUP BY window_start, window_end, origin
HAVING COUNT(DISTINCT destination) > 1 AND SUM(delay) > 2 AND AVG(delay) > 3 AND MIN(distance) > 4 AND MAX(distance) > 5;",
        expect![""],
    );
}

#[test]
fn named_arguments_and_an_offset() {
    check(
        "INSERT INTO names SELECT CAST(COUNT(*) AS STRING) FROM TABLE(TUMBLE(TIMECOL => DESCRIPTOR(`date`), DATA => TABLE flights, SIZE => INTERVAL '1' DAY, OFFSET => INTERVAL '8' HOUR)) GROUP BY window_start, window_end;",
        expect![""],
    );
}

#[test]
fn keys_may_be_expressions() {
    check(
        "INSERT INTO pairs SELECT delay / 10 + 1, SUBSTRING(origin, 1, 1) FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, delay / 10, SUBSTRING(origin, 1, 1);",
        expect![""],
    );
}

#[test]
fn a_window_bound_is_an_expression_before_the_aggregation() {
    check(
        "INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) WHERE window_start > TIMESTAMP '2001-01-01 00:00:00' GROUP BY window_start, window_end, origin;",
        expect![""],
    );
}

#[test]
fn window_time_is_the_event_time_of_a_second_window() {
    check(
        "CREATE VIEW h AS SELECT window_time AS rt, origin, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time, origin;
INSERT INTO delays SELECT window_start, origin, SUM(c), MAX(c) FROM TABLE(TUMBLE(TABLE h, DESCRIPTOR(rt), INTERVAL '1' DAY)) GROUP BY window_start, window_end, origin;",
        expect![""],
    );
}

#[test]
fn a_hop_grouped_once_more_keeps_its_windows() {
    check(
        "CREATE VIEW h AS SELECT window_start, window_end, origin, COUNT(*) AS c FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) GROUP BY window_start, window_end, origin;
INSERT INTO delays SELECT window_start, 'all', MAX(c), MIN(c) FROM h GROUP BY window_start, window_end;",
        expect![""],
    );
}

#[test]
fn a_tumble_without_group_by_adds_columns() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR));",
        expect![""],
    );
}

#[test]
fn a_hop_without_group_by_copies_rows() {
    check(
        "INSERT INTO delays SELECT window_start, origin, 1, 2 FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR));",
        expect![""],
    );
}

#[test]
fn computed_columns_are_computed_at_the_source() {
    check(
        "INSERT INTO names SELECT s FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, s;",
        expect![""],
    );
}

#[test]
fn a_watermark_may_be_any_expression() {
    check("INSERT INTO names SELECT k FROM odd;", expect![""]);
}

#[test]
fn metadata_columns_are_the_connectors() {
    check("INSERT INTO topics SELECT s, price FROM bids;", expect![""]);
}

#[test]
fn late_rows_go_to_a_table() {
    check(
        "INSERT INTO names SELECT k FROM TABLE(TUMBLE(TABLE lossy, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;",
        expect![""],
    );
}

#[test]
fn not_null_is_checked_before_the_sink() {
    check(
        "INSERT INTO strict SELECT delay, origin FROM flights;",
        expect![""],
    );
}

#[test]
fn columns_left_out_are_null() {
    check(
        "INSERT INTO pairs (b) SELECT origin FROM flights;",
        expect![""],
    );
}

#[test]
fn the_clock_is_marked() {
    check(
        "INSERT INTO names SELECT CAST(CURRENT_TIMESTAMP AS STRING) FROM flights;",
        expect![""],
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
    (
        uids.map(|(info, _)| info.uid.0.clone()).collect(),
        graph.hash.clone(),
    )
}

const COUNTS: &str = "INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin";

#[test]
fn uids_do_not_depend_on_names_positions_or_comments() {
    let (uids, hash) = stable(COUNTS);
    let renamed = COUNTS.replace("TABLE flights", "/* the same */ TABLE v");
    assert_eq!(
        stable(&format!(
            "CREATE VIEW v AS\n\nSELECT *\n FROM flights; {renamed}"
        ))
        .0,
        uids
    );
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
    assert_ne!(
        window(&COUNTS.replace("GROUP", "WHERE delay > 1 GROUP")),
        first
    );
    assert_ne!(window(&COUNTS.replace("'1' HOUR", "'2' HOUR")), first);
    assert_ne!(window(&COUNTS.replace("origin", "destination")), first);
}

#[test]
fn equal_parts_get_different_uids() {
    let (uids, _) = stable(&format!(
        "{COUNTS}; {}",
        COUNTS.replace("origin", "destination")
    ));
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
    assert_eq!(
        json["chains"][0]["operators"][0]["name"],
        "filesystem flights"
    );
    assert_eq!(
        json["chains"][1]["operators"][0]["kind"],
        "window aggregate"
    );
    assert!(json["chains"][1]["operators"][0]["state"]["columns"].is_object());
}

#[test]
fn a_job_is_bounded_when_all_of_its_sources_are() {
    assert!(planned(&format!("{FLIGHTS}{COUNTS}")).bounded);
    assert!(!planned(&format!("{FLIGHTS}INSERT INTO names SELECT s FROM bids")).bounded);
}
