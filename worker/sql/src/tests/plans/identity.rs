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
