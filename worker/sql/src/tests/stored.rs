//! `STATE(…)` in FROM.

use super::errors::check;
use super::planned;
use crate::{PlanOptions, plan};

const OUT: &str = "\
CREATE TABLE shown (k STRING, n BIGINT, large DECIMAL(20, 0), seen TIMESTAMP_LTZ(6)) WITH ('connector' = 'print');
CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'filesystem');
";

/// Names and details of the sources of a program's plan.
fn sources(query: &str) -> Vec<String> {
    let planned = planned(&format!("{OUT}INSERT INTO shown {query}"));
    assert!(planned.bounded, "{query}");
    let vertices = planned.graph.vertices.iter().flat_map(|vertex| &vertex.chain);
    let sources = vertices.filter(|(info, _)| info.kind == "source");
    sources.map(|(info, _)| format!("{}: {}", info.name, info.details["reads"])).collect()
}

#[test]
fn it_is_a_table_with_the_columns_that_are_stored() {
    let all = ["state groups of count by k: k, $rows, large, at"];
    for from in [
        "STATE('st/ns/counts', 'count')",
        "TABLE(STATE('st/ns/counts', 'count', 'groups'))",
        "state(OPERATOR => 'count', PLACE => 'st/ns/counts', VERSION => 7)",
        "TABLE(STATE('st/ns/counts', 'count', 'groups', 7)) AS s",
    ] {
        assert_eq!(sources(&format!("SELECT * FROM {from}")), all, "{from}");
    }
}

#[test]
fn it_can_be_filtered_grouped_and_joined_and_is_read_once() {
    let grouped = "SELECT k, SUM(`$rows`), MAX(large), MAX(`at`) FROM STATE('st/ns/counts', 'count') WHERE k > 'a' GROUP BY k";
    assert_eq!(sources(grouped), ["state groups of count by k: k, $rows, large, at"]);
    let joined = "SELECT a.k, b.`$rows`, a.large, a.`at` FROM STATE('st/ns/counts', 'count') a \
                  JOIN STATE('st/ns/counts', 'count') b ON a.k = b.k JOIN names n ON a.k = n.k";
    let mut read = sources(joined);
    read.sort();
    assert_eq!(read, ["filesystem names: k", "state groups of count by k: k, $rows, large, at"]);
    let others = "SELECT a.k, b.`$rows`, a.large, a.`at` FROM STATE('st/ns/counts', 'count') a \
                  JOIN STATE('st/ns/counts', 'count', 'seen') b ON a.k = b.k";
    let mut read = sources(others);
    read.sort();
    assert_eq!(
        read,
        ["state groups of count by k: k, large, at", "state seen of count by k: k, $rows"]
    );
}

#[test]
fn what_is_not_there_is_told_at_the_argument_that_asks_for_it() {
    check(&[
        ("SELECT * FROM STATE('st/ns/count', 'count')", "sql:6:21: no place"),
        ("SELECT * FROM STATE('st/ns/counts', 'counts')", "sql:6:37: no operator"),
        ("SELECT * FROM STATE('st/ns/counts', 'count', 'group')", "sql:6:46: no table"),
        ("SELECT * FROM STATE('st/ns/counts', 'count', VERSION => 6)", "sql:6:57: no version"),
    ]);
}

#[test]
fn arguments_that_are_wrong() {
    check(&[
        (
            "SELECT * FROM STATE('p')",
            "sql:6:15: STATE lacks its argument OPERATOR; it takes PLACE, OPERATOR, TABLE, VERSION",
        ),
        (
            "SELECT * FROM TABLE(STATE('p', 5))",
            "sql:6:32: the argument OPERATOR of STATE is a string, such as 'hourly count'",
        ),
        (
            "SELECT * FROM STATE('p', 'o', 't', 'newest')",
            "sql:6:36: the argument VERSION of STATE is a number, as `weir state ls` lists them, such as 12",
        ),
        (
            "SELECT * FROM STATE('p', 'o', 't', 1, 2)",
            "sql:6:39: STATE takes at most 4 arguments: PLACE, OPERATOR, TABLE, VERSION",
        ),
        (
            "SELECT * FROM STATE('p', 'o', OPERATORS => 'o')",
            "sql:6:31: STATE has no argument OPERATORS; it has PLACE, OPERATOR, TABLE, VERSION; did you mean 'OPERATOR'?",
        ),
        (
            "SELECT * FROM STATE('p', 'o', OPERATOR => 'o')",
            "sql:6:31: the argument OPERATOR is given twice",
        ),
    ]);
}

#[test]
fn a_program_cannot_declare_such_a_table_itself() {
    check(&[(
        "CREATE TABLE s (k STRING) WITH ('connector' = 'state', 'weir.state.place' = 'p'); SELECT * FROM s",
        "sql:6:56: option 'weir.state.place' is unknown",
    )]);
}

#[test]
fn a_job_that_goes_on_has_no_state_of_others() {
    let options = PlanOptions::new("default/test", 720, "/jobs");
    let errors = plan("SELECT * FROM STATE('st/ns/counts', 'count')", &options).err().unwrap();
    let said = errors[0].to_string();
    assert!(said.starts_with("sql:1:15: STATE(…) reads what a job has stored"), "{said}");
    assert!(said.contains("only `weir sql` does"), "{said}");
}
