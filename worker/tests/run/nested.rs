//! Values that are made of others: kept in state, and taken apart.

use super::program::Program;

const EVENTS: &str = "CREATE TABLE events (id BIGINT, tags ARRAY<STRING>, place ROW<city STRING, at DOUBLE>, counts MAP<STRING, INT>)
WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
";

fn events() -> Program {
    let rows = r#"{"id":1,"tags":["a","b"],"place":{"city":"Bonn","at":-0.0},"counts":{"x":1,"y":2}}
{"id":2,"tags":["a",null],"place":{"city":"Bonn","at":0.0},"counts":{"y":2,"x":1}}
{"id":3,"tags":[],"place":null,"counts":null}
{"id":4,"tags":["a","b"],"place":{"city":null,"at":1.5},"counts":{}}
{"id":5,"tags":["a",null],"place":null,"counts":null}
"#;
    Program::new(&[("in/events.json", rows)])
}

#[test]
fn rows_are_grouped_by_values_that_are_made_of_others() {
    let program = events();
    program.always(
        &format!("{EVENTS}SELECT tags, COUNT(*), SUM(id) FROM events GROUP BY tags;"),
        &["[], 1, 3", "[a, b], 2, 5", "[a, null], 2, 7"],
    );
    // There is one zero, and a map has no order.
    program.always(
        &format!("{EVENTS}SELECT COUNT(*) FROM events GROUP BY place, counts;"),
        &["1", "2", "2"],
    );
}

#[test]
fn rows_that_hold_them_are_joined_ranked_and_corrected() {
    let program = events();
    program.always(
        &format!(
            "{EVENTS}SELECT l.id, r.place, r.counts FROM (SELECT MAX(id) AS id FROM events GROUP BY tags) l
LEFT JOIN events r ON l.id = r.id + 1;"
        ),
        &["3, +I[Bonn, 0.0], {y=2, x=1}", "4, null, null", "5, +I[null, 1.5], {}"],
    );
    // As in Flink, NULLs within are equal, so that rows with equal lists match.
    program.always(
        &format!("{EVENTS}SELECT l.id, r.id FROM events l JOIN events r ON l.tags = r.tags;"),
        &["1, 1", "1, 4", "2, 2", "2, 5", "3, 3", "4, 1", "4, 4", "5, 2", "5, 5"],
    );
    program.always(
        &format!("{EVENTS}SELECT id, tags FROM events ORDER BY id DESC LIMIT 2;"),
        &["4, [a, b]", "5, [a, null]"],
    );
}

#[test]
fn rows_stand_beside_the_elements_of_their_values() {
    let program = events();
    program.always(
        &format!("{EVENTS}SELECT id, tag, n FROM events LEFT JOIN UNNEST(tags) WITH ORDINALITY AS t (tag, n) ON TRUE WHERE id < 4;"),
        &["1, a, 1", "1, b, 2", "2, a, 1", "2, null, 2", "3, null, null"],
    );
    // What is corrected takes its elements back.
    program.always(
        &format!(
            "{EVENTS}SELECT tag, COUNT(*), MAX(last) FROM (SELECT tags, MAX(id) AS last FROM events GROUP BY tags)
CROSS JOIN UNNEST(tags) AS t (tag) GROUP BY tag;"
        ),
        &["a, 2, 5", "b, 1, 4", "null, 1, 5"],
    );
}

#[test]
fn aggregates_gather_values_and_let_them_go() {
    let program = events();
    program.always(
        &format!("{EVENTS}SELECT COLLECT(n), CARDINALITY(COLLECT(n)) FROM (SELECT tags, COUNT(*) AS n FROM events GROUP BY tags);"),
        &["{1=1, 2=2}, 3"],
    );
    program.always(
        &format!("{EVENTS}SELECT ARRAY_AGG(n) FROM (SELECT COUNT(*) AS n FROM events) AS one;"),
        &["[5]"],
    );
    program.always(
        &format!("{EVENTS}SELECT id < 3, ARRAY_AGG(id) FILTER (WHERE id <> 4) FROM events GROUP BY id < 3;"),
        &["false, [3, 5]", "true, [1, 2]"],
    );
}

#[test]
fn sets_with_all_count_rows() {
    let program = events();
    program.always(
        &format!(
            "{EVENTS}SELECT tags FROM events EXCEPT ALL SELECT tags FROM events WHERE id = 1;"
        ),
        &["[]", "[a, b]", "[a, null]", "[a, null]"],
    );
    program.always(
        &format!(
            "{EVENTS}SELECT n FROM (SELECT tags, COUNT(*) AS n FROM events GROUP BY tags)
INTERSECT ALL SELECT n FROM (SELECT place, COUNT(*) AS n FROM events GROUP BY place);"
        ),
        &["1", "2", "2"],
    );
}

#[test]
fn a_query_beside_rows_speaks_of_them() {
    let program = events();
    program.always(
        &format!(
            "{EVENTS}SELECT e.id, t.x, t.y FROM events e, LATERAL (SELECT r.id AS x, r.id * e.id AS y FROM events r WHERE r.id > e.id AND r.id < 4) t;"
        ),
        &["1, 2, 2", "1, 3, 3", "2, 3, 6"],
    );
    program.always(
        &format!(
            "{EVENTS}SELECT e.id, t.tag FROM events e, LATERAL (SELECT tag FROM UNNEST(e.tags) AS u (tag) WHERE tag <> 'a') AS t;"
        ),
        &["1, b", "4, b"],
    );
}
