//! `OVER` by event time, from files to what is printed.

use super::program::Program;

const FARES: &str = "\
1,x,10,2024-01-01 00:00:10
2,x,20,2024-01-01 00:00:20
3,y,5,2024-01-01 00:00:20
4,x,,2024-01-01 00:00:20
5,x,40,2024-01-01 00:01:00
6,y,7,2024-01-01 00:01:10
7,x,1,2024-01-01 00:00:15
8,x,2,2024-01-01 00:00:58
";

const TABLES: &str = "
CREATE TABLE fares (id BIGINT, taxi STRING, fare INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'fares', 'format' = 'csv', 'csv.null-literal' = '');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("fares/a.csv", FARES)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

/// The row 7 came behind the watermark, whatever came after it; the row 8 did not.
#[test]
fn running_results_by_event_time() {
    check(
        "id BIGINT, total INT, n BIGINT, place BIGINT",
        "SELECT id, SUM(fare) OVER w, COUNT(*) OVER w, ROW_NUMBER() OVER w FROM fares
WINDOW w AS (PARTITION BY taxi ORDER BY ts)",
        &[
            "1, 10, 1, 1",
            "2, 30, 3, 2",
            "3, 5, 1, 1",
            "4, 30, 3, 3",
            "5, 72, 5, 5",
            "6, 12, 2, 2",
            "8, 32, 4, 4",
        ],
    );
}

#[test]
fn rows_one_by_one_and_ranks() {
    check(
        "id BIGINT, total INT, place BIGINT, dense BIGINT",
        "SELECT id, SUM(fare) OVER (PARTITION BY taxi ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
RANK() OVER w, DENSE_RANK() OVER w FROM fares WHERE taxi = 'x' WINDOW w AS (PARTITION BY taxi ORDER BY ts)",
        &["1, 10, 1, 1", "2, 30, 2, 2", "4, 30, 2, 2", "5, 72, 5, 4", "8, 32, 4, 3"],
    );
}

#[test]
fn frames_that_reach_back_so_far() {
    check(
        "id BIGINT, least INT, total INT",
        "SELECT id, MIN(fare) OVER (PARTITION BY taxi ORDER BY ts ROWS 1 PRECEDING),
SUM(fare) OVER (PARTITION BY taxi ORDER BY ts RANGE BETWEEN INTERVAL '40' SECOND PRECEDING AND CURRENT ROW)
FROM fares WHERE taxi = 'x'",
        &["1, 10, 10", "2, 10, 30", "4, 20, 30", "5, 2, 62", "8, 2, 22"],
    );
}

#[test]
fn values_of_other_rows() {
    check(
        "id BIGINT, before INT, two BIGINT, first_fare INT, last_fare INT",
        "SELECT id, LAG(fare) OVER w, LAG(id, 2, -1) OVER w, FIRST_VALUE(fare) OVER w, LAST_VALUE(fare) OVER w
FROM fares WINDOW w AS (PARTITION BY taxi ORDER BY ts)",
        &[
            "1, null, -1, 10, 10",
            "2, 10, -1, 10, 20",
            "3, null, -1, 5, 5",
            "4, 20, 1, 10, 20",
            "5, 2, 4, 10, 40",
            "6, 5, -1, 5, 7",
            "8, null, 2, 10, 2",
        ],
    );
}

#[test]
fn different_windows_in_one_select_and_expressions_around_them() {
    check(
        "id BIGINT, share DOUBLE, place BIGINT",
        "SELECT id, ROUND(CAST(fare AS DOUBLE) / SUM(fare) OVER (PARTITION BY taxi ORDER BY ts), 2), 10 * COUNT(*) OVER (ORDER BY ts)
FROM fares WHERE fare IS NOT NULL",
        &["1, 1.0, 10", "2, 0.67, 30", "3, 1.0, 30", "5, 0.56, 50", "6, 0.58, 60", "8, 0.06, 40"],
    );
}

#[test]
fn over_the_results_of_windows() {
    check(
        "taxi STRING, minute_of TIMESTAMP(3), total INT, so_far INT",
        "SELECT taxi, window_start, total, SUM(total) OVER (PARTITION BY taxi ORDER BY window_time) FROM (
  SELECT taxi, window_start, window_time, SUM(fare) AS total
  FROM TABLE(TUMBLE(TABLE fares, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, window_time, taxi)",
        &[
            "x, 2024-01-01T00:00, 33, 33",
            "x, 2024-01-01T00:01, 40, 73",
            "y, 2024-01-01T00:00, 5, 5",
            "y, 2024-01-01T00:01, 7, 12",
        ],
    );
}

#[test]
fn rows_sorted_by_event_time() {
    check(
        "id BIGINT",
        "SELECT id FROM fares ORDER BY ts, fare DESC",
        &["1", "2", "3", "4", "5", "6", "8"],
    );
}
