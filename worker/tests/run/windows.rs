//! Window functions, old and new, from files to what is printed.

use super::program::Program;

const ROWS: &str = "\
1,a,2024-01-01 00:00:05
2,a,2024-01-01 00:00:15
3,b,2024-01-01 00:00:25
4,a,2024-01-01 00:00:45
5,b,2024-01-01 00:01:05
";

const TABLES: &str = "
CREATE TABLE clicks (id BIGINT, page STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'clicks', 'format' = 'csv');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("clicks/a.csv", ROWS)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

#[test]
fn windows_that_grow_step_by_step() {
    check(
        "page STRING, window_end TIMESTAMP(3), n BIGINT",
        "SELECT page, window_end, COUNT(*) FROM TABLE(CUMULATE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, page",
        &[
            "a, 2024-01-01T00:00:20, 2",
            "a, 2024-01-01T00:00:40, 2",
            "a, 2024-01-01T00:01, 3",
            "b, 2024-01-01T00:00:40, 1",
            "b, 2024-01-01T00:01, 1",
            "b, 2024-01-01T00:01:20, 1",
            "b, 2024-01-01T00:01:40, 1",
            "b, 2024-01-01T00:02, 1",
        ],
    );
    check(
        "window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT",
        "SELECT window_start, window_end, SUM(n) FROM (SELECT window_start, window_end, window_time, page, COUNT(*) AS n
FROM TABLE(CUMULATE(DATA => TABLE clicks, TIMECOL => DESCRIPTOR(ts), STEP => INTERVAL '30' SECOND, SIZE => INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, window_time, page) GROUP BY window_start, window_end",
        &[
            "2024-01-01T00:00, 2024-01-01T00:00:30, 3",
            "2024-01-01T00:00, 2024-01-01T00:01, 4",
            "2024-01-01T00:01, 2024-01-01T00:01:30, 1",
            "2024-01-01T00:01, 2024-01-01T00:02, 1",
        ],
    );
}

#[test]
fn rows_with_each_of_their_windows() {
    check(
        "id BIGINT, window_end TIMESTAMP(3)",
        "SELECT id, window_end FROM TABLE(CUMULATE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '30' SECOND, INTERVAL '1' MINUTE)) WHERE id > 3",
        &["4, 2024-01-01T00:01", "5, 2024-01-01T00:01:30", "5, 2024-01-01T00:02"],
    );
}

#[test]
fn old_group_windows() {
    check(
        "page STRING, start_of TIMESTAMP(3), end_of TIMESTAMP(3), n BIGINT",
        "SELECT c.page, TUMBLE_START(c.ts, INTERVAL '30' SECOND), TUMBLE_END(ts, INTERVAL '30' SECOND) AS e, COUNT(*)
FROM clicks AS c GROUP BY c.page, TUMBLE(ts, INTERVAL '30' SECOND) HAVING COUNT(*) > 1",
        &["a, 2024-01-01T00:00, 2024-01-01T00:00:30, 2"],
    );
    check(
        "start_of TIMESTAMP(3), n BIGINT",
        "SELECT TUMBLE_START(t, INTERVAL '1' MINUTE), SUM(n) FROM (SELECT HOP_ROWTIME(ts, INTERVAL '30' SECOND, INTERVAL '1' MINUTE) AS t, COUNT(*) AS n
FROM clicks GROUP BY HOP(ts, INTERVAL '30' SECOND, INTERVAL '1' MINUTE)) GROUP BY TUMBLE(t, INTERVAL '1' MINUTE)",
        &["2024-01-01T00:00, 7", "2024-01-01T00:01, 3"],
    );
}

#[test]
fn several_groupings_at_once() {
    check(
        "page STRING, odd BOOLEAN, bits BIGINT, n BIGINT, ids BIGINT",
        "SELECT page, odd, GROUPING(page, odd), COUNT(*), SUM(id) FROM (SELECT *, MOD(id, 2) = 1 AS odd FROM clicks)
GROUP BY GROUPING SETS ((page, odd), (page), ())",
        &[
            "a, false, 0, 2, 6",
            "a, null, 1, 3, 7",
            "a, true, 0, 1, 1",
            "b, null, 1, 2, 8",
            "b, true, 0, 2, 8",
            "null, null, 3, 5, 15",
        ],
    );
    check(
        "page STRING, n BIGINT",
        "SELECT page, COUNT(page) FROM clicks GROUP BY ROLLUP (page) HAVING GROUPING_ID(page) = 1",
        &["null, 5"],
    );
    check(
        "window_start TIMESTAMP(3), page STRING, n BIGINT",
        "SELECT window_start, page, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, CUBE (page)",
        &[
            "2024-01-01T00:00, a, 3",
            "2024-01-01T00:00, b, 1",
            "2024-01-01T00:00, null, 4",
            "2024-01-01T00:01, b, 1",
            "2024-01-01T00:01, null, 1",
        ],
    );
}

#[test]
fn sessions_of_each_key() {
    check(
        "page STRING, start_of TIMESTAMP(3), end_of TIMESTAMP(3), n BIGINT, last BIGINT",
        "SELECT page, window_start, window_end, COUNT(*), MAX(id)
FROM TABLE(SESSION(TABLE clicks PARTITION BY page, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, page",
        &[
            "a, 2024-01-01T00:00:05, 2024-01-01T00:00:25, 2, 2",
            "a, 2024-01-01T00:00:45, 2024-01-01T00:00:55, 1, 4",
            "b, 2024-01-01T00:00:25, 2024-01-01T00:00:35, 1, 3",
            "b, 2024-01-01T00:01:05, 2024-01-01T00:01:15, 1, 5",
        ],
    );
    check(
        "start_of TIMESTAMP(3), n BIGINT",
        "SELECT SESSION_START(ts, INTERVAL '20' SECOND), COUNT(*) FROM clicks GROUP BY SESSION(ts, INTERVAL '20' SECOND)",
        &["2024-01-01T00:00:05, 5"],
    );
}
