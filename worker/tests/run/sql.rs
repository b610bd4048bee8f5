//! `weir sql` as a real process: scripts, statements and pipes.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Running, until};

/// A folder in which `weir sql` is run.
pub(crate) struct Folder(TempDir);

/// What a run wrote, said and ended with.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) out: String,
    pub(crate) said: String,
    pub(crate) code: i32,
}

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        fs::create_dir(folder.path().join("tmp")).expect("made");
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("sql").args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("TMPDIR", self.0.path().join("tmp"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("weir starts");
        Run {
            out: String::from_utf8(output.stdout).expect("text"),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// What a text on standard input gives.
    fn pipe(&self, text: &str, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("read");
        let output = child.wait_with_output().expect("it ends");
        Run {
            out: String::from_utf8(output.stdout).expect("text"),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

const FLIGHTS: &str = "CREATE TABLE flights (origin STRING, delay INT) WITH (
  'connector' = 'filesystem', 'path' = 'flights.csv', 'format' = 'csv',
  'csv.null-literal' = '');
";

fn flights() -> Folder {
    Folder::new(&[("flights.csv", "ATL,5\nORD,-3\nATL,12\nORD,\n")])
}

#[test]
fn a_script_shows_what_is_left_of_an_updating_query_in_every_format() {
    let folder = flights();
    let script = format!(
        "{FLIGHTS}SELECT origin, COUNT(*) AS flights, SUM(delay) AS delay FROM flights GROUP BY origin;\n"
    );
    fs::write(folder.0.path().join("script.sql"), script).expect("written");
    let formats = [
        ("csv", "origin,flights,delay\nATL,2,17\nORD,2,-3\n"),
        (
            "json",
            "{\"origin\":\"ATL\",\"flights\":2,\"delay\":17}\n{\"origin\":\"ORD\",\"flights\":2,\"delay\":-3}\n",
        ),
        ("plain", "ATL\t2\t17\nORD\t2\t-3\n"),
        (
            "table",
            "origin  flights  delay\n──────  ───────  ─────\nATL           2     17\nORD           2     -3\n",
        ),
    ];
    for (format, expected) in formats {
        let run = folder.run(&["-f", "script.sql", "--format", format]);
        assert_eq!((run.code, run.out.as_str()), (0, expected), "{format}: {}", run.said);
        assert_eq!(run.said, "table \"flights\" is declared\n");
    }
    // CSV where nobody says anything, and nothing of a terminal in it.
    assert_eq!(folder.run(&["-f", "script.sql"]).out, formats[0].1);
    let changes = folder.run(&[
        "-i",
        "script.sql",
        "-e",
        "SET 'sql-client.execution.result-mode' = 'changelog'; SELECT COUNT(*) AS n FROM flights",
        "--format",
        "json",
    ]);
    let last = changes.out.lines().last().expect("a change");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&last["n"], last["op"] != "-U"), (&Value::from(4), true), "{changes:?}");
}

#[test]
fn rows_are_written_and_read_back_by_the_next_statement() {
    let folder = flights();
    let run = folder.pipe(
        &format!(
            "{FLIGHTS}
CREATE TABLE late WITH ('connector' = 'filesystem', 'path' = 'late', 'format' = 'json')
  AS SELECT origin, delay FROM flights WHERE delay > 0;
INSERT INTO late VALUES ('JFK', 1), (CAST(NULL AS STRING), 2);
CREATE VIEW worst AS SELECT origin, MAX(delay) AS delay FROM late GROUP BY origin;
SELECT * FROM worst WHERE delay > 1;
EXECUTE STATEMENT SET BEGIN
  INSERT INTO late VALUES ('DEN', 7);
  INSERT INTO late VALUES ('DEN', 8);
END;
SELECT COUNT(*) AS n FROM late;
"
        ),
        &[],
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.out, "origin,delay\nATL,12\n,2\nn\n6\n", "{}", run.said);
    let written: Vec<&str> =
        run.said.lines().filter(|line| line.contains(" written in ")).collect();
    let counts: Vec<&str> = written.iter().map(|line| &line[..6]).collect();
    assert_eq!(counts, ["2 rows"; 3], "{}", run.said);
    let left = fs::read_dir(folder.0.path().join("tmp")).expect("readable").count();
    assert_eq!(left, 0, "the state of what is over is gone");
}

#[test]
fn statements_about_the_session_are_answered() {
    let folder = flights();
    let run = folder.pipe(
        &format!(
            "{FLIGHTS}CREATE VIEW v AS SELECT delay FROM flights;
SHOW TABLES; SHOW VIEWS; SHOW TABLES LIKE 'f%';
DESCRIBE flights;
SHOW FUNCTIONS LIKE 'json_v%';
SHOW CREATE VIEW v;
USE CATALOG default_catalog; SHOW CURRENT DATABASE;
SET 'table.exec.state.ttl' = '1 h'; SET;
RESET; SET;
DROP VIEW v; SHOW VIEWS;
EXPLAIN SELECT delay FROM flights;
"
        ),
        &["--format", "plain"],
    );
    assert_eq!(run.code, 0, "{run:?}");
    let (lists, plan) = run.out.split_once("1h\n").unwrap_or((&run.out, ""));
    let expected = "flights\nv\nv\nflights\norigin\tSTRING\tTRUE\t\t\t\ndelay\tINT\tTRUE\t\t\t\njson_value\nCREATE VIEW v AS SELECT delay FROM flights;\ndefault_database\ntable.exec.state.ttl\t1 h\n";
    assert!(lists.starts_with(expected), "{lists}{plan}");
    assert!(run.out.contains("filesystem flights"), "the plan: {}", run.out);
    let wrong = folder.run(&["-e", "SHOW TABLE STATUS"]);
    assert!(wrong.code == 2 && wrong.said.contains("SHOW TABLES, VIEWS"), "{wrong:?}");
}

#[test]
fn an_error_names_its_place_and_nothing_before_it_is_run() {
    let folder = flights();
    let script = format!("{FLIGHTS}\nSELECT origin FROM flights;\nSELECT dely FROM flights;\n");
    fs::write(folder.0.path().join("script.sql"), script).expect("written");
    let run = folder.run(&["-f", "script.sql"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(
        run.said.starts_with("script.sql:6:8: column \"dely\" not found")
            && run.said.contains(
                "did you mean \"delay\"?\n  6 | SELECT dely FROM flights;\n    |        ^^^^"
            ),
        "{}",
        run.said
    );
    let run = folder.run(&["-e", "SELEC 1"]);
    assert!(run.code == 2 && run.said.starts_with("sql:1:1: expected a statement"), "{run:?}");
    // What only shows in the data ends the script there.
    let run = folder.run(&[
        "-e",
        "SELECT 1 AS a; SELECT CAST(s AS INT) AS n FROM (VALUES ('x')) AS t (s); SELECT 2",
    ]);
    assert_eq!((run.code, run.out.as_str()), (1, "a\n1\n"), "{run:?}");
    assert!(run.said.contains('x'), "it names the value: {}", run.said);
}

#[test]
fn a_query_without_an_end_gives_rows_until_it_is_interrupted() {
    let folder = Folder::new(&[]);
    let endless =
        "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50',
  'fields.n.min' = '1', 'fields.n.max' = '1000000');
CREATE TABLE long (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');";
    let written = folder.0.path().join("out.csv");
    let start = |sql: &str| {
        let mut command = folder.command(&["-e", &format!("{endless}{sql}")]);
        let out = fs::File::create(&written).expect("made");
        Running(command.stdout(out).stderr(Stdio::piped()).spawn().expect("weir starts"))
    };
    let read = || fs::read_to_string(&written).expect("text");
    let run = start("SELECT MOD(n, 2) AS odd, COUNT(*) AS n FROM n GROUP BY MOD(n, 2)");
    until("changes", || read().lines().count() > 20);
    run.signal(Signal::INT);
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    let text = read();
    assert!(text.starts_with("op,odd,n\n+I,"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("+U,1,")), "{text}");

    let run = start(
        "CREATE TABLE t (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 't', 'format' = 'csv');
INSERT INTO t SELECT n FROM long; SELECT 1;",
    );
    let folders = folder.0.path().join("t");
    until("a file", || fs::read_dir(&folders).is_ok_and(|files| files.count() > 0));
    run.signal(Signal::INT);
    let (code, said) = run.end();
    assert!(code == 130 && said.contains("what was read until then is written"), "{code}: {said}");
    // No row is missing, and nothing follows.
    let read_back = folder.run(&[
        "--format",
        "plain",
        "-e",
        "CREATE TABLE t (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 't', 'format' = 'csv');
SELECT COUNT(*) AS n, MAX(n) AS m FROM t",
    ]);
    let counts: Vec<u64> = read_back.out.split_whitespace().flat_map(str::parse).collect();
    assert!(counts.len() == 2 && counts[0] == counts[1] && counts[0] > 0, "{read_back:?}");
    assert_eq!(read(), "", "the statement behind it did not run");
}

#[test]
fn jobs_without_an_end_go_on_beside_the_next_statements_of_a_script() {
    let folder = flights();
    let script = format!(
        "{FLIGHTS}CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50');
CREATE TABLE a (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'a', 'format' = 'csv');
CREATE TABLE b (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'b', 'format' = 'csv');
INSERT INTO a SELECT n FROM n;
INSERT INTO b SELECT n FROM n;
SELECT COUNT(*) AS flights FROM flights;
"
    );
    fs::write(folder.0.path().join("script.sql"), script).expect("written");
    let written = folder.0.path().join("out.csv");
    let out = fs::File::create(&written).expect("made");
    let mut command = folder.command(&["-f", "script.sql"]);
    let run = Running(command.stdout(out).stderr(Stdio::piped()).spawn().expect("weir starts"));
    let answered = || fs::read_to_string(&written).is_ok_and(|text| text == "flights\n4\n");
    until("the query behind them", answered);
    for name in ["a", "b"] {
        let path = folder.0.path().join(name);
        until("a file", || fs::read_dir(&path).is_ok_and(|files| files.count() > 0));
    }
    run.signal(Signal::INT);
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    for job in ["job 1: interrupted after", "job 2: interrupted after"] {
        assert!(said.contains(job), "{said}");
    }
    let left = fs::read_dir(folder.0.path().join("tmp")).expect("readable").count();
    assert_eq!(left, 0, "the state of what is over is gone");
}

#[test]
fn one_of_several_jobs_that_fails_is_told_while_the_others_go_on() {
    let folder = Folder::new(&[]);
    let script =
        "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000000');
CREATE TABLE endless (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50');
CREATE TABLE a (n BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO a SELECT n FROM endless;
INSERT INTO a SELECT CAST(CONCAT('x', CAST(n AS STRING)) AS BIGINT) FROM endless;
QUIT;
SELECT 1 AS never;
";
    let mut command = folder.command(&["-e", script]);
    let err = folder.0.path().join("err.txt");
    let (out, to) = (Stdio::piped(), fs::File::create(&err).expect("made"));
    let run = Running(command.stdout(out).stderr(to).spawn().expect("weir starts"));
    until("what is said of it", || {
        fs::read_to_string(&err).is_ok_and(|said| said.contains("job 2: "))
    });
    run.signal(Signal::INT);
    assert_eq!(run.end().0, 130);
    let said = fs::read_to_string(&err).expect("text");
    assert!(said.contains("job 1: interrupted after"), "{said}");
}

#[test]
fn points_in_time_are_shown_on_the_clock_of_the_session() {
    let folder = Folder::new(&[]);
    let query = "SELECT TO_TIMESTAMP_LTZ(0, 3) AS t, CAST(NULL AS TIMESTAMP_LTZ(3)) AS n;";
    let text =
        format!("{query} SET 'table.local-time-zone' = 'Asia/Shanghai'; {query} EXIT; SELECT 1;");
    let run = folder.pipe(&text, &["--format", "csv"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.out, "t,n\n1970-01-01 00:00:00,\nt,n\n1970-01-01 08:00:00,\n");
    let run = folder.pipe(&text, &["--format", "json"]);
    assert_eq!(run.out.matches("1970-01-01T00:00:00Z").count(), 2, "points in time: {}", run.out);
}

#[test]
fn a_script_that_is_run_as_a_manifest_is_told_from_one() {
    let folder = flights();
    fs::write(folder.0.path().join("job.SQL"), "SELECT 1;").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = command.args(["run", "job.SQL"]).current_dir(folder.0.path()).output();
    let output = output.expect("weir starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run it with `weir sql -f job.SQL`"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
