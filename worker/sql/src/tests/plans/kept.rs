//! How long state is kept: what hints say, and windows that end.

use super::{FLIGHTS, planned};
use crate::explain;

const SHOWN: &str = "CREATE TABLE shown (k STRING, n BIGINT) WITH ('connector' = 'print');\n";

/// The plan's lines about tables.
fn tables(sql: &str) -> Vec<String> {
    let text = explain::text(&planned(&format!("{FLIGHTS}{SHOWN}{sql}")).graph);
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("table "));
    lines.map(str::to_owned).collect()
}

/// After how many seconds rows of tables go; `None` is never.
fn seconds(sql: &str) -> Vec<Option<u32>> {
    let after = |line: String| {
        let (_, rest) = line.split_once("rows go ")?;
        rest.split(' ').next().and_then(|number| number.parse().ok())
    };
    tables(sql).into_iter().map(after).collect()
}

#[test]
fn a_hint_says_how_long_a_join_keeps_either_side() {
    let join = |hint: &str| {
        format!(
            "INSERT INTO shown SELECT {hint} f.origin, o.lag_ms FROM flights f JOIN odd o ON f.origin = o.k;"
        )
    };
    let both = seconds(&join("/*+ STATE_TTL('f' = '1 d', 'o' = '12 h') */"));
    assert_eq!(both, [Some(86_400), Some(43_200)]);
    assert_eq!(seconds(&join("/*+ STATE_TTL(o = '90 s') */")), [None, Some(90)]);
    assert_eq!(seconds(&join("")), [None, None]);
    let job = "SET 'table.exec.state.ttl' = '1 h';\n";
    let other = join("/*+ STATE_TTL('f' = '0 s') */");
    assert_eq!(seconds(&format!("{job}{other}")), [None, Some(3_600)]);
}

#[test]
fn a_hint_says_how_long_groups_are_kept_where_it_stands_alone() {
    let group = "SELECT /*+ STATE_TTL('flights' = '90 min') */ origin, COUNT(*) AS n FROM flights GROUP BY origin";
    assert_eq!(seconds(&format!("INSERT INTO shown {group};")), [Some(5_400)]);
    let again = format!("INSERT INTO shown SELECT MAX(origin), n FROM ({group}) GROUP BY n;");
    assert_eq!(seconds(&again)[..2], [Some(5_400), None]);
    // One operator cannot keep rows as long as two hints say.
    let two = format!(
        "INSERT INTO shown {group};\nINSERT INTO shown SELECT origin, COUNT(*) FROM flights GROUP BY origin;"
    );
    assert_eq!(seconds(&two), [Some(5_400), None]);
}

#[test]
fn windows_over_changes_are_groups_that_end() {
    let changes = "CREATE TABLE changes (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = 'changes', 'format' = 'debezium-json');\n";
    let windows = |window: &str| {
        let tables = tables(&format!(
            "{changes}SET 'table.exec.state.ttl' = '1 h';\nINSERT INTO shown SELECT k, SUM(v) FROM {window};"
        ));
        tables.into_iter().map(|line| line.split(':').next().unwrap_or_default().to_owned())
    };
    let tumble = "TABLE(TUMBLE(TABLE changes, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY k, window_start, window_end";
    assert_eq!(windows(tumble).collect::<Vec<_>>(), ["table groups", "table due"]);
    let session = "TABLE(SESSION(TABLE changes PARTITION BY k, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY k, window_start, window_end";
    assert_eq!(windows(session).collect::<Vec<_>>(), ["table sessions", "table due"]);
    let early = "changes GROUP BY k, TUMBLE(ts, INTERVAL '1' HOUR)";
    assert_eq!(windows(early).collect::<Vec<_>>(), ["table groups", "table due"]);
}
