//! MATCH_RECOGNIZE, from files to what is printed.

use std::fs::{self, File};
use std::process::Stdio;

use rustix::process::Signal;

use super::program::Program;
use super::{Copying, Running, WATCHED, until};

const LOGINS: &str = "\
1,ann,false,2024-01-01 00:00:10
2,bob,false,2024-01-01 00:00:12
3,ann,false,2024-01-01 00:00:20
4,bob,true,2024-01-01 00:00:20
5,ann,false,2024-01-01 00:00:15
6,ann,true,2024-01-01 00:00:50
7,ann,false,2024-01-01 00:00:01
8,cid,false,2024-01-01 00:01:00
9,cid,false,2024-01-01 00:01:10
10,cid,false,2024-01-01 00:02:15
11,cid,true,2024-01-01 00:02:20
12,bob,false,2024-01-01 00:03:00
13,bob,false,2024-01-01 00:03:01
14,bob,true,2024-01-01 00:03:05
";

const TABLES: &str = "
CREATE TABLE logins (id BIGINT, usr STRING, ok BOOLEAN, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '15' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'logins', 'format' = 'csv');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("logins/a.csv", LOGINS)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\nINSERT INTO shown {query};"), expected);
}

/// The row 5 came out of order, and the row 7 too late.
#[test]
fn a_row_per_match_of_each_partition() {
    check(
        "usr STRING, n BIGINT, first_id BIGINT, last_id BIGINT, ended TIMESTAMP(3)",
        "SELECT * FROM logins MATCH_RECOGNIZE (
  PARTITION BY usr ORDER BY ts
  MEASURES COUNT(F.id) AS n, FIRST(F.id) AS first_id, LAST(F.id) AS last_id, MATCH_ROWTIME() AS ended
  ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (F{2,} S) WITHIN INTERVAL '1' MINUTE
  DEFINE F AS NOT F.ok, S AS S.ok)",
        &["ann, 3, 1, 3, 2024-01-01T00:00:50", "bob, 2, 12, 13, 2024-01-01T00:03:05"],
    );
}

#[test]
fn all_rows_of_each_match_with_what_they_are_called() {
    check(
        "usr STRING, ts TIMESTAMP(3), v STRING, m BIGINT, n BIGINT, id BIGINT, ok BOOLEAN",
        "SELECT * FROM logins MATCH_RECOGNIZE (
  PARTITION BY usr ORDER BY ts
  MEASURES CLASSIFIER() AS v, MATCH_NUMBER() AS m, COUNT(F.id) AS n
  ALL ROWS PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (F+ S) DEFINE F AS NOT F.ok, S AS S.ok) WHERE usr <> 'cid'",
        &[
            "ann, 2024-01-01T00:00:10, F, 1, 1, 1, false",
            "ann, 2024-01-01T00:00:15, F, 1, 2, 5, false",
            "ann, 2024-01-01T00:00:20, F, 1, 3, 3, false",
            "ann, 2024-01-01T00:00:50, S, 1, 3, 6, true",
            "bob, 2024-01-01T00:00:12, F, 1, 1, 2, false",
            "bob, 2024-01-01T00:00:20, S, 1, 1, 4, true",
            "bob, 2024-01-01T00:03, F, 2, 1, 12, false",
            "bob, 2024-01-01T00:03:01, F, 2, 2, 13, false",
            "bob, 2024-01-01T00:03:05, S, 2, 2, 14, true",
        ],
    );
}

/// A match that ends with a repetition is known when another row follows, or when its time is over.
#[test]
fn matches_that_leave_late_are_counted_in_their_own_window() {
    check(
        "minute_of TIMESTAMP(3), matches BIGINT, n BIGINT",
        "SELECT window_start, COUNT(*), SUM(n) FROM TABLE(TUMBLE(TABLE (SELECT * FROM logins MATCH_RECOGNIZE (
  PARTITION BY usr ORDER BY ts
  MEASURES COUNT(*) AS n, MATCH_ROWTIME() AS t
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (F+) WITHIN INTERVAL '1' MINUTE
  DEFINE F AS NOT F.ok)), DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end",
        &[
            "2024-01-01T00:00, 2, 4",
            "2024-01-01T00:01, 1, 2",
            "2024-01-01T00:02, 1, 1",
            "2024-01-01T00:03, 1, 2",
        ],
    );
}

/// A job that prints who failed three times before a success.
fn write_alarm(job: &Copying, parallelism: u32) {
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: copy}}
spec:
  parallelism: {parallelism}
  state: {{checkpoint: {{interval: 100ms}}}}
  sql: |
    CREATE TABLE a (n BIGINT, ok BOOLEAN, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
      WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'csv'{WATCHED});
    CREATE TABLE b (n BIGINT, m BIGINT, failures BIGINT, since TIMESTAMP(3)) WITH ('connector' = 'print');
    INSERT INTO b SELECT * FROM a MATCH_RECOGNIZE (
      PARTITION BY n ORDER BY ts
      MEASURES MATCH_NUMBER() AS m, COUNT(F.n) AS failures, FIRST(F.ts) AS since
      AFTER MATCH SKIP PAST LAST ROW
      PATTERN (F{{3,}} S) DEFINE F AS NOT F.ok, S AS S.ok);
"
    );
    fs::write(job.path("job.yaml"), manifest).expect("written");
}

fn start_printing(job: &Copying, to: &str) -> Running {
    let out = File::create(job.path(to)).expect("made");
    Running(job.command("st").stdout(out).stderr(Stdio::piped()).spawn().expect("weir starts"))
}

fn printed(job: &Copying, from: &str) -> Vec<String> {
    let text = fs::read_to_string(job.path(from)).unwrap_or_default();
    let mut rows: Vec<String> = text
        .lines()
        .filter_map(|line| Some(line.split_once("+I[")?.1.trim_end_matches(']').to_owned()))
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_match_that_has_begun_goes_on_behind_a_kill_and_with_another_parallelism() {
    let job = Copying::new(WATCHED);
    write_alarm(&job, 1);
    let day = "2024-01-01 00:00";
    job.give(
        "a.csv",
        &format!(
            "1,false,{day}:01\n2,false,{day}:02\n1,false,{day}:03\n2,false,{day}:04\n2,false,{day}:05\n2,true,{day}:06\n1,false,{day}:07\n9,true,{day}:08\n"
        ),
    );
    let run = start_printing(&job, "first");
    until("the match", || printed(&job, "first") == ["2, 1, 3, 2024-01-01T00:00:02"]);
    until("the chain to know", || job.listed().is_some());
    run.signal(Signal::KILL);
    run.end();
    let run = start_printing(&job, "second");
    job.give(
        "b.csv",
        &format!("2,false,{day}:10\n2,false,{day}:11\n1,true,{day}:12\n9,true,{day}:13\n"),
    );
    let with_first =
        |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with('1')).collect::<Vec<_>>();
    until("the other match", || {
        with_first(printed(&job, "second")) == ["1, 1, 3, 2024-01-01T00:00:01"]
    });
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert_eq!(code, 0, "{text}");
    write_alarm(&job, 3);
    let run = start_printing(&job, "third");
    job.give(
        "c.csv",
        &format!("2,false,{day}:20\n2,false,{day}:21\n2,true,{day}:22\n9,true,{day}:30\n"),
    );
    // Key 2 goes on with its second match.
    until("the last match", || printed(&job, "third") == ["2, 2, 4, 2024-01-01T00:00:10"]);
    run.signal(Signal::INT);
    assert_eq!(run.end().0, 0);
}
