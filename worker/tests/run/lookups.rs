//! Joins with tables that are asked, from files to what is printed.

use super::program::Program;

const VISITS: &str = "\
1,ann,LX
2,bob,FR
3,,LX
4,cid,XX
5,dan,FR
6,eve,
";

const COUNTRIES: &str = "\
LX,Luxembourg,1
FR,France,68
FR,Frankreich,68
DE,Germany,84
,Nowhere,0
";

const TABLES: &str = "
CREATE TABLE visits (id INT, who STRING, code STRING, p AS PROCTIME())
  WITH ('connector' = 'filesystem', 'path' = 'visits', 'format' = 'csv', 'csv.null-literal' = '');
CREATE TABLE countries (code STRING, name STRING, people INT, big AS people > 50)
  WITH ('connector' = 'filesystem', 'path' = 'countries', 'format' = 'csv', 'csv.null-literal' = '',
    'lookup.cache' = 'FULL', 'lookup.full-cache.periodic-reload.interval' = '1 h');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("visits/a.csv", VISITS), ("countries/a.csv", COUNTRIES)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\n{query};"), expected);
}

#[test]
fn rows_meet_what_the_table_says() {
    check(
        "id INT, name STRING",
        "INSERT INTO shown SELECT id, name FROM visits v JOIN countries FOR SYSTEM_TIME AS OF v.p AS c ON v.code = c.code",
        &[
            "1, Luxembourg",
            "2, France",
            "2, Frankreich",
            "3, Luxembourg",
            "5, France",
            "5, Frankreich",
        ],
    );
    check(
        "id INT, name STRING, big BOOLEAN",
        "INSERT INTO shown SELECT id, name, big FROM visits v
LEFT JOIN countries FOR SYSTEM_TIME AS OF PROCTIME() AS c ON UPPER(v.code) = c.code AND c.name < v.who || 'zz' AND c.big",
        &[
            "1, null, null",
            "2, France, true",
            "2, Frankreich, true",
            "3, null, null",
            "4, null, null",
            "5, France, true",
            "5, Frankreich, true",
            "6, null, null",
        ],
    );
}

#[test]
fn conditions_are_asked_of_the_table_or_of_pairs() {
    check(
        "id INT, name STRING",
        "INSERT INTO shown SELECT /*+ LOOKUP('table' = 'c', 'async' = 'true', 'output-mode' = 'ordered') */ id, name FROM visits v
LEFT JOIN countries FOR SYSTEM_TIME AS OF v.p AS c ON v.code = c.code AND c.people > 10 AND CHAR_LENGTH(c.name) > v.id + 4",
        &[
            "1, null",
            "2, Frankreich",
            "3, null",
            "4, null",
            "5, Frankreich",
            "6, null",
        ],
    );
    check(
        "id INT, name STRING",
        "INSERT INTO shown SELECT id, name FROM visits v JOIN countries FOR SYSTEM_TIME AS OF v.p AS c ON v.code = c.code
WHERE c.name <> 'France' AND v.id < 4",
        &["1, Luxembourg", "2, Frankreich", "3, Luxembourg"],
    );
}

#[test]
fn rows_in_the_program_are_asked_like_a_table() {
    check(
        "id INT, name STRING",
        "CREATE VIEW names AS SELECT * FROM (VALUES ('LX', 'L'), ('FR', 'F')) AS t (code, name);
INSERT INTO shown SELECT id, n.name FROM visits v LEFT JOIN names FOR SYSTEM_TIME AS OF v.p AS n ON v.code = n.code",
        &["1, L", "2, F", "3, L", "4, null", "5, F", "6, null"],
    );
}

#[test]
fn event_time_goes_on_behind_a_lookup() {
    let program = Program::new(&[
        (
            "visits/a.csv",
            "1,LX,2024-01-01 00:00:01\n2,FR,2024-01-01 00:00:12\n3,LX,2024-01-01 00:00:13\n",
        ),
        ("countries/a.csv", COUNTRIES),
    ]);
    program.always(
        "CREATE TABLE visits (id INT, code STRING, ts TIMESTAMP(3), p AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'visits', 'format' = 'csv');
CREATE TABLE countries (code STRING, name STRING, people INT)
  WITH ('connector' = 'filesystem', 'path' = 'countries', 'format' = 'csv');
CREATE TABLE shown (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'print');
CREATE VIEW told AS SELECT v.ts, c.name FROM visits v JOIN countries FOR SYSTEM_TIME AS OF v.p AS c ON v.code = c.code;
INSERT INTO shown SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE told, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;",
        &["2024-01-01T00:00, 1", "2024-01-01T00:00:10, 3"],
    );
}
