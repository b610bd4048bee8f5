//! Processing time, as far as rows do not depend on the clock: in the order in which they come.

use super::program::Program;

const CLICKS: &str = "\
1,x,10
2,y,20
3,x,30
4,z,40
5,x,50
6,y,60
";

const TABLES: &str = "
CREATE TABLE clicks (id INT, k STRING, n INT, p AS PROCTIME())
  WITH ('connector' = 'filesystem', 'path' = 'clicks', 'format' = 'csv');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("clicks/a.csv", CLICKS)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

#[test]
fn the_first_rows_of_a_key_are_those_that_come_first() {
    let ranked = |most: &str| {
        format!(
            "SELECT id, k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS r FROM clicks) WHERE r <= {most}"
        )
    };
    check("id INT, k STRING", &ranked("1"), &["1, x", "2, y", "4, z"]);
    check("id INT, k STRING", &ranked("2"), &["1, x", "2, y", "3, x", "4, z", "6, y"]);
}

#[test]
fn the_last_row_of_a_key_is_the_one_that_comes_last() {
    check(
        "id INT, k STRING",
        "SELECT id, k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC) AS r FROM clicks) WHERE r = 1",
        &["4, z", "5, x", "6, y"],
    );
}

#[test]
fn results_run_on_with_each_row_that_comes() {
    check(
        "id INT, n BIGINT, total INT, two INT",
        "SELECT id, COUNT(*) OVER w, SUM(n) OVER w,
  SUM(n) OVER (PARTITION BY k ORDER BY p ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
FROM clicks WINDOW w AS (PARTITION BY k ORDER BY p)",
        &[
            "1, 1, 10, 10",
            "2, 1, 20, 20",
            "3, 2, 40, 40",
            "4, 1, 40, 40",
            "5, 3, 90, 80",
            "6, 2, 80, 80",
        ],
    );
}

/// However the clock cuts them, every row is in one window.
#[test]
fn windows_of_processing_time_give_what_came() {
    let in_all = |query: &str| {
        check(
            "k STRING, n BIGINT, total INT",
            &format!("SELECT k, SUM(n), SUM(total) FROM ({query}) GROUP BY k"),
            &["x, 3, 90", "y, 2, 80", "z, 1, 40"],
        );
    };
    in_all(
        "SELECT k, window_start, COUNT(*) AS n, SUM(n) AS total
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(p), INTERVAL '1' HOUR)) GROUP BY k, window_start, window_end",
    );
    in_all(
        "SELECT k, COUNT(*) AS n, SUM(n) AS total FROM TABLE(SESSION(TABLE clicks PARTITION BY k, DESCRIPTOR(p), INTERVAL '1' HOUR))
GROUP BY k, window_start, window_end",
    );
    in_all(
        "SELECT k, TUMBLE_END(p, INTERVAL '1' SECOND) AS e, COUNT(*) AS n, SUM(n) AS total FROM clicks
GROUP BY k, TUMBLE(p, INTERVAL '1' SECOND)",
    );
}

#[test]
fn rows_that_come_near_each_other_are_joined() {
    check(
        "a INT, b INT",
        "SELECT a.id, b.id FROM clicks a JOIN clicks b ON a.k = b.k AND a.id < b.id
AND a.p BETWEEN b.p - INTERVAL '1' HOUR AND b.p + INTERVAL '1' HOUR",
        &["1, 3", "1, 5", "2, 6", "3, 5"],
    );
}

#[test]
fn a_limit_by_processing_time_gives_what_comes_first() {
    check(
        "id INT, known BOOLEAN",
        "SELECT id, p IS NOT NULL AND PROCTIME() IS NOT NULL FROM clicks ORDER BY p LIMIT 2",
        &["1, true", "2, true"],
    );
}
