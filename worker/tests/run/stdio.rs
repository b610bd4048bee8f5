//! `weir sql --stdio` as a real process, asked by a program that reads and writes lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_engine::env::instant;

use super::{LIMIT, until};

/// A session of another program; killed when this is dropped.
struct Asking {
    folder: TempDir,
    child: Child,
    requests: Option<ChildStdin>,
    events: BufReader<ChildStdout>,
}

impl Asking {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["sql", "--stdio"]).current_dir(folder.path()).env("TMPDIR", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        let requests = child.stdin.take();
        let events = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut asking = Self { folder, child, requests, events };
        let hello = asking.event();
        assert_eq!((&hello["event"], &hello["protocol"]), (&json!("hello"), &json!(1)), "{hello}");
        asking
    }

    fn send(&mut self, line: &str) {
        let requests = self.requests.as_mut().expect("it is open");
        writeln!(requests, "{line}").expect("it is read");
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("text");
        serde_json::from_str(&line).expect("a line is JSON")
    }

    /// The next event of a kind, without what comes before it.
    fn next(&mut self, kind: &str) -> Value {
        let deadline = instant() + LIMIT;
        loop {
            let event = self.event();
            if event["event"] == kind {
                return event;
            }
            assert!(event["event"] != "end", "no {kind} before {event}");
            assert!(instant() < deadline, "no {kind} in time");
        }
    }

    /// Everything up to the end of a request, but what depends on the clock.
    fn answers(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let mut event = self.event();
            if event["event"] == "progress" {
                continue;
            }
            if let Some(seconds) = event.as_object_mut().and_then(|event| event.remove("seconds")) {
                assert!(seconds.is_number(), "{seconds}");
            }
            let is_end = event["event"] == "end";
            events.push(event);
            if is_end {
                return events;
            }
        }
    }

    fn ask(&mut self, run: Value) -> Vec<Value> {
        self.send(&json!({ "run": run }).to_string());
        self.answers()
    }

    fn sql(&mut self, sql: &str) -> Vec<Value> {
        self.ask(json!({ "sql": sql }))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// All rows of a result.
fn rows(events: &[Value]) -> Vec<Value> {
    let events = events.iter().filter(|event| event["event"] == "rows");
    events.flat_map(|event| event["rows"].as_array().expect("rows").clone()).collect()
}

fn done(ended: &str, rows: u64) -> Value {
    json!({ "event": "done", "ended": ended, "rows": rows })
}

fn end(code: u8) -> Value {
    json!({ "event": "end", "code": code })
}

const ENDLESS: &str = "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen',
  'rows-per-second' = '500', 'fields.n.min' = '1', 'fields.n.max' = '1000000');";

#[test]
fn every_statement_and_every_request_says_that_it_is_answered_and_the_session_goes_on() {
    let mut asking = Asking::start();
    std::fs::write(asking.folder.path().join("f.csv"), "ATL,5\nORD,-3\nATL,12\n").expect("written");
    let declared = asking.sql(
        "CREATE TABLE f (o STRING, d INT) WITH ('connector' = 'filesystem', 'path' = 'f.csv', 'format' = 'csv');
         SET 'table.local-time-zone' = 'UTC';",
    );
    assert_eq!(declared[0], json!({ "event": "said", "text": "table \"f\" is declared" }));
    assert_eq!(declared[1], done("finished", 0));
    assert_eq!(declared[3..], [done("finished", 0), end(0)]);
    // A mistake names its place, and what it stands behind is not run.
    let wrong = asking.sql("SELECT o FROM f;\nSELECT oo FROM f;");
    let text = wrong[0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("sql:2:8: column \"oo\" not found"), "{wrong:?}");
    assert_eq!((wrong.len(), &wrong[1]), (2, &end(2)));
    let failed = asking.sql("SELECT CAST(o AS INT) AS n FROM f;");
    assert_eq!((failed[1]["event"].as_str(), &failed[2]), (Some("error"), &end(1)), "{failed:?}");

    let counted = asking.sql("SELECT o, COUNT(*) AS n FROM f GROUP BY o; SHOW TABLES;");
    let columns = json!([{ "name": "o", "type": "STRING" }, { "name": "n", "type": "BIGINT" }]);
    assert_eq!((&counted[0]["columns"], &counted[0]["bounded"]), (&columns, &json!(true)));
    assert_eq!(rows(&counted), [json!(["ATL", 2]), json!(["ORD", 1]), json!(["f"])]);
    let ends: Vec<&Value> = counted.iter().filter(|event| event["event"] == "done").collect();
    assert_eq!(ends, [&done("finished", 2), &done("finished", 1)]);
    assert_eq!(counted[counted.len() - 1], end(0));

    let some = asking.ask(json!({ "sql": "SELECT d FROM f; SELECT 1 AS a;", "limit": 2 }));
    assert_eq!(rows(&some), [json!([5]), json!([-3]), json!([1])]);
    let ends: Vec<&Value> = some.iter().filter(|event| event["event"] == "done").collect();
    assert_eq!(ends, [&done("limit", 2), &done("finished", 1)]);
    // What is no request is answered too.
    asking.send("{\"run\":{\"sql\":\"SELECT 1\",\"limits\":3}}");
    let why = asking.answers();
    assert!(why[0]["text"].as_str().is_some_and(|why| why.contains("limits")), "{why:?}");
    assert_eq!(why[1], end(2));
}

#[test]
fn a_query_without_an_end_is_looked_at_and_ended_by_its_limit_its_time_or_an_interrupt() {
    let mut asking = Asking::start();
    asking.sql(ENDLESS);
    let limited = asking.ask(json!({ "sql": "SELECT n FROM n;", "limit": 300 }));
    let all = rows(&limited);
    assert!(all.len() == 300 && all.iter().all(|row| row[0].as_u64() > Some(0)), "{all:?}");
    assert_eq!(limited[limited.len() - 2..], [done("limit", 300), end(0)]);

    let corrected = "SELECT MOD(n, 3) AS m, COUNT(*) AS c FROM n GROUP BY MOD(n, 3);";
    let timed = asking.ask(json!({ "sql": corrected, "seconds": 2.0, "shown": 2 }));
    assert_eq!((&timed[0]["bounded"], &timed[0]["corrected"]), (&json!(false), &json!(true)));
    let looks: Vec<&Value> = timed.iter().filter(|event| event["event"] == "table").collect();
    assert!(looks.len() > 1, "{timed:?}");
    let last = looks[looks.len() - 1];
    assert_eq!((last["rows"].as_array().map(Vec::len), &last["total"]), (Some(2), &json!(3)));
    assert_eq!((rows(&timed).len(), &timed[timed.len() - 2]), (3, &done("limit", 3)));

    // One that comes too late is of no consequence.
    asking.send("\"interrupt\"");
    asking.send(&json!({ "run": { "sql": "SELECT n FROM n; SELECT 1;" } }).to_string());
    let look = asking.next("table");
    assert!(look["total"].as_u64() > Some(0), "{look}");
    asking.send("\"interrupt\"");
    let interrupted = asking.answers();
    let last = &interrupted[interrupted.len() - 2];
    assert_eq!(
        (&last["ended"], &interrupted[interrupted.len() - 1]),
        (&json!("interrupted"), &end(130))
    );
    assert_eq!(rows(&interrupted).len() as u64, last["rows"].as_u64().unwrap_or_default());
    assert_eq!(rows(&asking.sql("SELECT 1 AS a;")), [json!([1])], "the session goes on");
}

#[test]
fn what_is_written_until_an_interrupt_counts_and_printed_lines_are_told() {
    let mut asking = Asking::start();
    asking.sql(
        "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '500',
           'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000000');
         CREATE TABLE t (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 't', 'format' = 'csv');
         CREATE TABLE p (n BIGINT) WITH ('connector' = 'print');",
    );
    asking.send(&json!({ "run": { "sql": "INSERT INTO t SELECT n FROM n;" } }).to_string());
    let line = asking.next("progress");
    assert!(line["text"].as_str().is_some_and(|text| text.contains(" rows/s")), "{line}");
    asking.send("\"interrupt\"");
    let written = asking.answers();
    let said = written[0]["text"].as_str().unwrap_or_default();
    assert!(said.ends_with("what was read until then is written"), "{written:?}");
    assert_eq!(written[written.len() - 1], end(130));
    let count = rows(&asking.sql("SELECT COUNT(*) AS n, COUNT(DISTINCT n) AS m FROM t;"));
    assert!(count[0][0] == count[0][1] && count[0][0].as_u64() > Some(0), "{count:?}");
    let printed = asking.sql("INSERT INTO p VALUES (7), (8);");
    let lines: Vec<&str> = printed.iter().filter_map(|event| event["text"].as_str()).collect();
    assert!(lines.concat().starts_with("+I[7]\n+I[8]\n2 rows written in "), "{printed:?}");
}

#[test]
fn what_could_follow_is_told_and_the_end_of_requests_is_the_end() {
    let mut asking = Asking::start();
    asking.sql(ENDLESS);
    asking.send(
        &json!({ "complete": { "before": "-- ä\nSELECT * FROM ", "after": "" } }).to_string(),
    );
    let found = asking.event();
    assert_eq!(found["start"], json!(19), "{found}");
    let first = &found["candidates"][0];
    assert_eq!((&first["text"], &first["what"]), (&json!("n"), &json!("table")), "{found}");

    asking.send(&json!({ "run": { "sql": "SELECT n FROM n;" } }).to_string());
    asking.next("table");
    asking.requests = None;
    until("the process to end", || asking.child.try_wait().expect("it can be asked").is_some());
    let left = std::fs::read_dir(asking.folder.path()).expect("readable").count();
    assert_eq!(left, 0, "the state of what is over is gone");
}
