//! Uids and hashes: what a change keeps.

use super::FLIGHTS;
use crate::explain;
use crate::tests::planned;

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

/// Names under which a window's aggregates keep their state.
fn states(sql: &str) -> Vec<String> {
    let json = explain::json(&planned(&format!("{FLIGHTS}{sql}")).graph);
    let operators = json["chains"][1]["operators"][0]["state"]["columns"].as_object().cloned();
    let names = operators.unwrap_or_default().into_iter().map(|(name, _)| name);
    names.filter(|name| name.contains('(')).collect()
}

fn with_sum(from: &str, sum: &str) -> String {
    format!(
        "{from} INSERT INTO names SELECT origin FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin HAVING SUM({sum}) > 1"
    )
}

#[test]
fn an_aggregate_of_stored_columns_keeps_its_state_under_its_name() {
    let plain = "CREATE VIEW v AS SELECT * FROM flights;";
    assert_eq!(states(&with_sum(plain, "delay")), ["SUM(delay)$sum"]);
    assert_eq!(states(&with_sum(plain, "delay + 1")), ["SUM(delay + 1)$sum"]);
}

#[test]
fn an_aggregate_of_something_else_does_not_get_the_old_ones_state() {
    let of = |view: &str| states(&with_sum(view, "x"));
    let twice = of("CREATE VIEW v AS SELECT origin, `date`, delay * 2 AS x FROM flights;");
    let thrice = of("CREATE VIEW v AS SELECT origin, `date`, delay * 3 AS x FROM flights;");
    assert_ne!(twice, thrice, "a view was edited");
    let plain = "CREATE VIEW v AS SELECT * FROM flights;";
    let long = |end: &str| {
        states(&with_sum(
            plain,
            &format!("CASE WHEN delay > 1000000 AND delay < 2000000 THEN {end} ELSE 0 END"),
        ))
    };
    assert_ne!(long("1"), long("2"), "the name for people is cut before the difference");
}

#[test]
fn a_computed_column_is_part_of_the_hash() {
    let hash = |delay: &str| {
        let sql = format!(
            "CREATE TABLE t (s STRING, n INT, d AS n + {delay}) WITH ('connector' = 'filesystem', 'path' = 't'); INSERT INTO names SELECT CAST(d AS STRING) FROM t"
        );
        planned(&format!("{FLIGHTS}{sql}")).graph.hash
    };
    assert_ne!(hash("1"), hash("2"));
}

#[test]
fn options_in_a_hint_are_of_that_place_alone() {
    let sql = "INSERT INTO names SELECT s FROM bids; INSERT INTO names SELECT s FROM bids /*+ OPTIONS('topic' = 'other') */ AS b WHERE price > 1; INSERT INTO names SELECT s FROM bids /*+ OPTIONS('topic' = 'other') */ WHERE price > 2";
    let (uids, hash) = stable(sql);
    assert_eq!(uids.len(), 2, "one source without the hint, one shared by those with it");
    let (plain, other) = stable(&sql.replace("'other'", "'third'"));
    assert_eq!(uids[0], plain[0]);
    assert_ne!(uids[1], plain[1]);
    assert_ne!(hash, other);
}
