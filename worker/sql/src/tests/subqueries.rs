//! Queries inside of queries: what cannot be, with its exact message, and what views and hints
//! mean for them.

use weir_engine::env::Clock;

use super::errors::check;

const EARLY: &str = "SET 'table.exec.emit.early-fire.enabled' = 'true'; SET 'table.exec.emit.early-fire.delay' = '0 s';";
const TUMBLED: &str = "CREATE VIEW v AS SELECT COUNT(*) AS n, origin, TUMBLE_START(`date`, INTERVAL '1' HOUR) AS t FROM flights GROUP BY origin, TUMBLE(`date`, INTERVAL '1' HOUR);";
const INSERT: &str = "INSERT INTO plain SELECT CAST(n AS INT), origin, t FROM v";

#[test]
fn rows_that_cannot_be_found_again_are_not_spoken_of() {
    check(&[
        (
            "INSERT INTO out1 SELECT r.a FROM (SELECT a, RAND() AS x FROM plain) AS r WHERE 3 > (SELECT COUNT(*) FROM flights f WHERE f.delay > r.x)",
            "sql:6:84: this query speaks of the rows around it by more than what is equal, so that they are found by all that they hold, and part of that is made by chance, so that rows computed again after a failure have other values; speak of columns that stay as they are",
        ),
        (
            "INSERT INTO out1 SELECT r.a FROM (SELECT a FROM plain WHERE RAND() < 0.5) AS r WHERE 3 > (SELECT COUNT(*) FROM flights f WHERE f.delay > r.a)",
            "sql:6:90: this query speaks of the rows around it by more than what is equal, so that they are found by all that they hold, and part of that is made by chance, so that rows computed again after a failure have other values; speak of columns that stay as they are",
        ),
        (
            "INSERT INTO out1 SELECT r.a FROM (SELECT a, RAND() AS x FROM plain) AS r WHERE 3 > (SELECT COUNT(*) FROM flights f WHERE f.delay = r.a)",
            "it plans",
        ),
    ]);
}

#[test]
fn hints_inside_of_a_query_are_read() {
    check(&[
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE EXISTS (SELECT /*+ STATE_TTL('zzz' = '1 d') */ 1 FROM flights f WHERE f.delay = plain.a)",
            "sql:6:73: the hint STATE_TTL is for 'zzz', which this FROM does not have; give a table's alias, or its name where it has none",
        ),
        (
            "INSERT INTO out1 SELECT a + (SELECT /*+ STATE_TTL('zzz' = '1 d') */ MAX(f.delay) FROM flights f WHERE f.delay = plain.a) FROM plain",
            "sql:6:51: the hint STATE_TTL is for 'zzz', which this FROM does not have; give a table's alias, or its name where it has none",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a IN (SELECT /*+ STATE_TTL('f' = '1 d') */ f.delay FROM flights f) OR s = 'x'",
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE EXISTS (SELECT /*+ STATE_TTL('f' = '1 d') */ 1 FROM flights f WHERE f.delay = plain.a)",
            "it plans",
        ),
    ]);
}

#[test]
fn queries_compare_with_as_many_columns_as_they_give() {
    check(&[
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a IN (SELECT delay, distance FROM flights)",
            "sql:6:50: IN compares with one column, and this query gives 2; select the one that is meant",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE (a, s) IN (SELECT origin FROM flights)",
            "sql:6:44: ROW<`EXPR$0` INT, `EXPR$1` STRING> and STRING cannot be compared; CAST one side to the other's type",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a > ALL (SELECT delay, distance FROM flights)",
            "sql:6:53: ANY or ALL compares with one column, and this query gives 2; select the one that is meant",
        ),
    ]);
}

#[test]
fn versions_of_batch_mode_are_not_joined_as_of_a_time() {
    check(&[(
        "SET 'execution.runtime-mode' = 'batch'; CREATE VIEW v AS SELECT a, s, t FROM (SELECT a, s, t, ROW_NUMBER() OVER (PARTITION BY a ORDER BY t DESC) AS n FROM plain) WHERE n = 1; INSERT INTO out1 SELECT v.a FROM flights f JOIN v FOR SYSTEM_TIME AS OF f.`date` ON v.a = f.delay",
        "sql:6:224: view \"v\" keeps the last versions alone in batch mode; join it in streaming mode, or declare PRIMARY KEY (…) NOT ENFORCED and WATERMARK on a table of rows that only come",
    )]);
}

#[test]
fn a_view_gives_results_early_where_it_is_read_by_a_query_that_does() {
    let early = format!("{TUMBLED} {EARLY} {INSERT}");
    let late = format!("{EARLY} {TUMBLED} RESET 'table.exec.emit.early-fire.enabled'; {INSERT}");
    let corrects = "sql:6:269: table \"plain\" (connector 'kafka') takes rows that only come, and this query corrects rows that it gave before: early or late results of windows at 6:106; leave out SET 'table.exec.emit.…', so that windows give their results once, or give the table 'format' = 'debezium-json'";
    check(&[(&early, corrects), (&late, "it plans")]);
}

#[test]
fn aggregates_far_inside_of_others_are_bound_in_no_time() {
    let mut query = "SELECT MAX(delay) FROM flights".to_owned();
    for _ in 0..13 {
        query = format!("SELECT MAX(delay) FROM flights WHERE delay < ({query})");
    }
    let begun = Clock::System.now_ms();
    check(&[(&format!("INSERT INTO out1 {query}"), "it plans")]);
    let taken = Clock::System.now_ms() - begun;
    assert!(taken < 5_000, "{taken} ms");
}

#[test]
fn places_in_order_by_and_group_by_are_those_of_any_query() {
    check(&[
        (
            "INSERT INTO out1 SELECT x.delay FROM plain p, LATERAL (SELECT * FROM flights f WHERE f.delay = p.a ORDER BY 9 LIMIT 1) x",
            "sql:6:47: a query behind LATERAL that speaks of the rows before it can select, group, aggregate and take the first rows; write what does more as a query of its own and join it by its keys (by itself: table \"p\" is not in FROM; FROM has \"f\")",
        ),
        (
            "INSERT INTO out1 SELECT (SELECT f.delay FROM flights f WHERE f.delay = p.a ORDER BY 2 LIMIT 1) FROM plain p",
            "sql:6:85: ORDER BY 2 is no column of the result, which has 1",
        ),
        (
            "INSERT INTO out1 SELECT (SELECT SUM(f.delay) FROM flights f WHERE f.delay = p.a GROUP BY 1) FROM plain p",
            "sql:6:90: GROUP BY takes columns and expressions, not positions",
        ),
        (
            "INSERT INTO out1 SELECT x.delay FROM plain p, LATERAL (SELECT * FROM flights f WHERE f.delay = p.a ORDER BY 2 LIMIT 1) x",
            "it plans",
        ),
    ]);
}

#[test]
fn sessions_in_group_by_stand_beside_no_query_in_where() {
    check(&[(
        "INSERT INTO out1 SELECT COUNT(*) FROM flights WHERE delay NOT IN (SELECT a FROM plain) GROUP BY SESSION(`date`, INTERVAL '1' HOUR)",
        "sql:6:53: a query in WHERE has no place beside GROUP BY SESSION(…): sessions would be of the rows before it; use TUMBLE or HOP, or a condition without a query",
    )]);
}

#[test]
fn watermarks_are_asked_of_rows_that_only_come() {
    check(&[
        (
            "CREATE TABLE c (a INT, t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'filesystem', 'format' = 'debezium-json', 'path' = 'c'); INSERT INTO out1 SELECT a FROM c WHERE CURRENT_WATERMARK(t) IS NULL",
            "sql:6:156: CURRENT_WATERMARK would not give the same once more when a row is taken back as it was given (a format of changes at 6:14); ask it of rows that only come",
        ),
        (
            "CREATE TABLE c (`$watermark` INT, t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'filesystem', 'path' = 'c'); INSERT INTO out1 SELECT `$watermark` FROM c WHERE CURRENT_WATERMARK(t) IS NULL",
            "it plans",
        ),
    ]);
}

#[test]
fn a_value_that_cannot_be_counted_is_one_by_what_the_query_says() {
    check(&[
        (
            "INSERT INTO out1 SELECT CARDINALITY((SELECT ARRAY[p.a] FROM plain p WHERE p.a = plain.a)) FROM plain",
            "sql:6:37: this query may give several rows where one ARRAY<INT> is wanted, and rows of such values are not counted; write what there is one of, such as an aggregate or a key in WHERE, or take the first by ORDER BY … LIMIT 1",
        ),
        (
            "INSERT INTO out1 SELECT CARDINALITY((SELECT ARRAY[p.a] FROM plain p WHERE p.a = plain.a ORDER BY p.a LIMIT 1)) FROM plain",
            "it plans",
        ),
    ]);
}
