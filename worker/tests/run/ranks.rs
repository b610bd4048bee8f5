//! Top-N, LIMIT and deduplication, from files to what is printed.

use super::program::Program;

const BIDS: &str = "\
1,a,10,2024-01-01 00:00:01
2,a,30,2024-01-01 00:00:02
3,b,20,2024-01-01 00:00:03
4,a,20,2024-01-01 00:00:04
5,b,,2024-01-01 00:00:05
6,a,30,2024-01-01 00:00:06
7,c,5,2024-01-01 00:00:07
8,b,40,2024-01-01 00:00:08
";

const TABLES: &str = "
CREATE TABLE bids (id BIGINT, item STRING, price INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'bids', 'format' = 'csv', 'csv.null-literal' = '');
";

/// Runs a query over the bids, whose rows go to a table of these columns.
fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("bids/a.csv", BIDS)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

#[test]
fn the_first_rows_of_each_key_by_a_value() {
    check(
        "item STRING, id BIGINT",
        "SELECT item, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY price DESC NULLS LAST) AS rn FROM bids) WHERE rn <= 2",
        &["a, 2", "a, 6", "b, 3", "b, 8", "c, 7"],
    );
}

#[test]
fn ranks_that_are_given_out() {
    check(
        "item STRING, id BIGINT, place BIGINT",
        "SELECT item, id, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY price DESC, id DESC) AS rn FROM bids) WHERE rn BETWEEN 2 AND 3",
        &["a, 2, 2", "a, 4, 3", "b, 3, 2", "b, 5, 3"],
    );
}

#[test]
fn equal_rows_share_a_rank() {
    check(
        "id BIGINT, place BIGINT",
        "SELECT id, r FROM (SELECT *, RANK() OVER (ORDER BY price DESC) AS r FROM bids) WHERE r < 4",
        &["2, 2", "6, 2", "8, 1"],
    );
    check(
        "id BIGINT, place BIGINT",
        "SELECT id, r FROM (SELECT *, DENSE_RANK() OVER (ORDER BY price DESC) AS r FROM bids) WHERE 3 >= r",
        &["2, 2", "3, 3", "4, 3", "6, 2", "8, 1"],
    );
}

#[test]
fn the_first_groups_by_a_result_that_is_corrected() {
    check(
        "item STRING, total INT, place BIGINT",
        "SELECT item, total, rn FROM (SELECT item, SUM(price) AS total, ROW_NUMBER() OVER (ORDER BY SUM(price) DESC) AS rn FROM bids GROUP BY item) WHERE rn <= 2",
        &["a, 90, 1", "b, 60, 2"],
    );
}

#[test]
fn qualify_and_named_windows() {
    check(
        "item STRING, id BIGINT",
        "SELECT item, id FROM bids WHERE price IS NOT NULL WINDOW w AS (PARTITION BY item), v AS (w ORDER BY price, id) QUALIFY ROW_NUMBER() OVER v = 1",
        &["a, 1", "b, 3", "c, 7"],
    );
}

#[test]
fn order_by_and_limit() {
    check(
        "id BIGINT, price INT",
        "SELECT id, price FROM bids ORDER BY price DESC, ts LIMIT 3",
        &["2, 30", "6, 30", "8, 40"],
    );
    check(
        "item STRING",
        "SELECT item FROM bids GROUP BY item ORDER BY COUNT(*) DESC LIMIT 1 OFFSET 1",
        &["b"],
    );
    check("n BIGINT", "SELECT COUNT(*) FROM (SELECT * FROM bids LIMIT 5)", &["5"]);
    check(
        "id BIGINT",
        "SELECT id FROM (SELECT id FROM bids ORDER BY 1 FETCH FIRST 2 ROWS ONLY) UNION ALL (SELECT id FROM bids ORDER BY id DESC LIMIT 1)",
        &["1", "2", "8"],
    );
}

#[test]
fn the_first_and_the_last_row_of_each_key_by_event_time() {
    check(
        "item STRING, id BIGINT",
        "SELECT item, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts) AS rn FROM bids) WHERE rn = 1",
        &["a, 1", "b, 3", "c, 7"],
    );
    check(
        "item STRING, id BIGINT, rn BIGINT",
        "SELECT item, id, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts DESC) AS rn FROM bids) WHERE rn = 1",
        &["a, 6, 1", "b, 8, 1", "c, 7, 1"],
    );
}

#[test]
fn first_rows_are_grouped_by_window() {
    check(
        "start_of TIMESTAMP(3), n BIGINT",
        "WITH first_bids AS (SELECT item, ts FROM (SELECT item, ts, ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts) AS rn FROM bids) WHERE rn = 1)
SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE first_bids, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end",
        &["2024-01-01T00:00, 2", "2024-01-01T00:00:05, 1"],
    );
}

#[test]
fn the_first_rows_of_each_window_only_come() {
    let program = Program::new(&[("bids/a.csv", BIDS)]);
    // A table that takes no corrections.
    let out = "CREATE TABLE best (window_start TIMESTAMP(3), item STRING, n BIGINT, place BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'best', 'format' = 'csv');
INSERT INTO best SELECT window_start, item, n, rn FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC, item) AS rn FROM (
    SELECT window_start, window_end, item, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '4' SECOND))
    GROUP BY window_start, window_end, item)) WHERE rn <= 1;";
    assert_eq!(program.rows(2, &format!("{TABLES}{out}")), Vec::<String>::new());
    assert_eq!(
        program.written("best"),
        [
            "\"2024-01-01 00:00:00\",a,2,1",
            "\"2024-01-01 00:00:04\",a,2,1",
            "\"2024-01-01 00:00:08\",b,1,1",
        ]
    );
}

#[test]
fn the_last_row_of_each_key_and_window() {
    check(
        "item STRING, id BIGINT",
        "SELECT item, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, item ORDER BY ts DESC) AS rn
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '5' SECOND))) WHERE rn = 1",
        &["a, 4", "a, 6", "b, 3", "b, 8", "c, 7"],
    );
}
