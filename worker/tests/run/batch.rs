//! `execution.runtime-mode` = `batch`: final rows, from files to what is printed.

use super::program::Program;

/// The last row is hours behind the others, which is late nowhere here.
const FARES: &str = "\
1,x,10,2024-01-01 06:00:10
2,x,20,2024-01-01 06:00:20
3,y,5,2024-01-01 06:01:20
4,x,40,2024-01-01 06:01:00
5,y,7,2024-01-01 00:00:30
";

const TABLES: &str = "
SET 'execution.runtime-mode' = 'batch';
CREATE TABLE fares (id BIGINT, taxi STRING, fare INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'fares', 'format' = 'csv');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("fares/a.csv", FARES)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

#[test]
fn groups_are_final() {
    check(
        "taxi STRING, total INT",
        "SELECT taxi, SUM(fare) FROM fares GROUP BY taxi",
        &["x, 70", "y, 12"],
    );
}

#[test]
fn no_row_is_late_for_its_window() {
    check(
        "start_at TIMESTAMP(3), n BIGINT",
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE fares, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end",
        &["2024-01-01T00:00, 1", "2024-01-01T06:00, 2", "2024-01-01T06:01, 2"],
    );
}

#[test]
fn the_last_rows_in_any_order() {
    check(
        "id BIGINT, fare INT",
        "SELECT id, fare FROM fares ORDER BY fare DESC LIMIT 2",
        &["2, 20", "4, 40"],
    );
}

#[test]
fn functions_over_rows_in_any_order() {
    check(
        "id BIGINT, place BIGINT, total INT, of_all INT",
        "SELECT id, RANK() OVER (PARTITION BY taxi ORDER BY fare DESC),
SUM(fare) OVER (PARTITION BY taxi ORDER BY fare DESC), SUM(fare) OVER (PARTITION BY taxi) FROM fares",
        &["1, 3, 70, 70", "2, 2, 60, 70", "3, 2, 12, 12", "4, 1, 40, 70", "5, 1, 7, 12"],
    );
}

/// Both correct their rows in a stream.
#[test]
fn groups_joined_with_rows_without_a_match() {
    check(
        "id BIGINT, total INT",
        "SELECT f.id, g.total FROM fares f LEFT JOIN
(SELECT taxi, SUM(fare) AS total FROM fares GROUP BY taxi HAVING SUM(fare) > 20) g ON f.taxi = g.taxi
WHERE f.id > 3",
        &["4, 70", "5, null"],
    );
}
