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

#[test]
fn files_are_overwritten_when_the_job_ends() {
    let program = Program::new(&[
        ("fares/a.csv", FARES),
        ("kept/old.csv", "9,z\n"),
        ("kept/_metadata", "theirs"),
        ("parts/taxi=x/old.csv", "9\n"),
        ("parts/taxi=z/old.csv", "9\n"),
    ]);
    let out = "
CREATE TABLE kept (id BIGINT, taxi STRING)
  WITH ('connector' = 'filesystem', 'path' = 'kept', 'format' = 'csv');
CREATE TABLE parts (id BIGINT, taxi STRING) PARTITIONED BY (taxi)
  WITH ('connector' = 'filesystem', 'path' = 'parts', 'format' = 'csv');
INSERT OVERWRITE kept SELECT id, taxi FROM fares WHERE id < 3;
INSERT OVERWRITE parts SELECT id, taxi FROM fares WHERE taxi = 'x';
";
    // Again: rows of the first time go.
    program.always(&format!("{TABLES}{out}"), &[]);
    assert_eq!(program.written("kept"), ["1,x", "2,x"]);
    assert_eq!(program.written("parts"), ["1", "2", "4", "9"]);
    // Rows that a table has are read before they go.
    let from_itself = "
CREATE TABLE kept (id BIGINT, taxi STRING)
  WITH ('connector' = 'filesystem', 'path' = 'kept', 'format' = 'csv');
INSERT OVERWRITE kept SELECT id + 10, taxi FROM kept WHERE id = 2;
";
    assert_eq!(program.rows(2, &format!("{TABLES}{from_itself}")), [] as [&str; 0]);
    assert_eq!(program.written("kept"), ["12,x"]);
}
