//! `weir run` as a real process: what a job's state says at its next start.

mod batch;
mod groups;
mod joins;
mod lookups;
mod nested;
mod not_null;
mod old_state;
mod over;
mod patterns;
mod processing_time;
mod program;
mod prompt;
mod ranks;
mod sql;
mod stdio;
mod stored;
mod temporal;
mod upserts;
mod windows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use weir_engine::env::instant;

/// Nothing here takes longer, unless it never ends.
const LIMIT: Duration = Duration::from_secs(60);

/// A job that copies numbers from files to files, in a folder of its own.
struct Copying(TempDir);

impl Copying {
    /// `options` are more of the source's.
    fn new(options: &str) -> Self {
        let copying = Self(TempDir::new().expect("a folder"));
        fs::create_dir(copying.path("in")).expect("made");
        copying.write(options, "n");
        copying
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, options: &str, column: &str) {
        let manifest = format!(
            "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: copy}}
spec:
  parallelism: 1
  state: {{checkpoint: {{interval: 300ms}}}}
  sql: |
    CREATE TABLE a (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'csv'{options});
    CREATE TABLE b (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json',
      'sink.rolling-policy.rollover-interval' = '200 ms',
      'sink.rolling-policy.check-interval' = '100 ms');
    INSERT INTO b SELECT {column} FROM a;
"
        );
        fs::write(self.path("job.yaml"), manifest).expect("written");
    }

    /// One file more in the source's folder.
    fn give(&self, name: &str, rows: &str) {
        fs::write(self.path(".new"), rows).expect("written");
        fs::rename(self.path(".new"), self.path("in").join(name)).expect("moved");
    }

    fn command(&self, state: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["run", "--no-color", "--retries", "1", "--state", state, "job.yaml"]);
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self) -> (i32, String) {
        said(&self.command("st").output().expect("weir starts"))
    }

    fn start(&self) -> Running {
        let mut command = self.command("st");
        Running(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("weir starts"))
    }

    /// Rows that are visible.
    fn rows(&self) -> Vec<u64> {
        let files = fs::read_dir(self.path("out")).into_iter().flatten().flatten();
        let visible = files.map(|e| e.path()).filter(|path| {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            path.is_file() && name.is_some_and(|n| !n.starts_with(['.', '_']))
        });
        let mut rows: Vec<u64> = visible.flat_map(|path| numbers(&path)).collect();
        rows.sort_unstable();
        rows
    }

    fn until_rows(&self, expected: &[u64]) {
        until("rows", || self.rows() == expected);
    }

    fn chain(&self) -> PathBuf {
        self.path("st/default/copy/chain")
    }

    /// How much output the newest manifest lists.
    fn listed(&self) -> Option<usize> {
        let names = fs::read_dir(self.chain()).ok()?.flatten().map(|e| e.path());
        let head: Value = serde_json::from_slice(&fs::read(names.max()?).ok()?).ok()?;
        head["pending"].as_array().map(Vec::len)
    }

    fn take_output_away(&self) {
        fs::rename(self.path("out"), self.path("taken")).expect("moved");
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).expect("readable");
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).expect("a row");
        row["n"].as_u64().expect("a number")
    });
    rows.collect()
}

/// What the lines of a print table fold to: how often each row is there.
fn fold(lines: &str) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for line in lines.lines() {
        let (kind, row) = line.split_once('[').expect("a row");
        let row = row.strip_suffix(']').expect("a row's end");
        let kind = kind.rsplit(' ').next().expect("a kind");
        assert!(["+I", "-U", "+U", "-D"].contains(&kind), "{kind} is no kind of row");
        let by = if kind == "+I" || kind == "+U" { 1 } else { -1 };
        *rows.entry(row.to_owned()).or_insert(0) += by;
    }
    rows.retain(|_, count| *count != 0);
    rows
}

fn said(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = instant() + LIMIT;
    while !is() {
        assert!(instant() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A job that runs; killed when this is dropped.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, signal).expect("it runs");
    }

    /// Its exit code and what it said.
    fn end(mut self) -> (i32, String) {
        let deadline = instant() + LIMIT;
        while self.0.try_wait().expect("it can be asked").is_none() {
            assert!(instant() < deadline, "it still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut text = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut text).expect("text");
        }
        (self.0.wait().expect("it has ended").code().unwrap_or(-1), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const WATCHED: &str = ", 'source.monitor-interval' = '100 ms'";

#[test]
fn a_finished_job_says_so_whatever_became_of_its_output_and_of_its_program() {
    let job = Copying::new("");
    job.give("a.csv", "1\n2\n");
    let (code, text) = job.run();
    assert_eq!((code, job.rows()), (0, vec![1, 2]), "{text}");
    assert_eq!(job.listed(), Some(0), "the chain knows that everything is visible");
    job.take_output_away();
    let (code, text) = job.run();
    assert!(text.contains("the job had finished (version "), "{text}");
    assert!(code == 0 && text.contains("--fresh starts over"), "{text}");
    job.give("b.csv", "3\n");
    job.write("", "n * 100");
    let (code, text) = job.run();
    assert!(code == 2 && text.contains("for the changed program either"), "{text}");
    assert!(!job.path("out").exists(), "nothing was read");
    // Which files were read is not known any more.
    job.write(WATCHED, "n");
    let (code, text) = job.run();
    assert!(code == 1 && text.contains("had an end in version"), "{code}: {text}");
    assert!(!job.path("out").exists(), "nothing was read again");
}

#[test]
fn an_idle_job_is_killed_after_its_output_was_taken_away_and_goes_on() {
    let job = Copying::new(WATCHED);
    job.give("a.csv", "1\n2\n");
    let run = job.start();
    job.until_rows(&[1, 2]);
    until("the chain to know", || job.listed() == Some(0));
    job.take_output_away();
    run.signal(Signal::KILL);
    run.end();
    job.give("b.csv", "3\n");
    let run = job.start();
    job.until_rows(&[3]);
    // A stop is the last that the chain hears.
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert!(code == 0 && text.contains("saved at"), "{text}");
    assert_eq!(job.listed(), Some(0), "{text}");
}

#[test]
fn whoever_loses_the_job_to_another_process_says_so() {
    let job = Copying::new(WATCHED);
    job.give("a.csv", "1\n");
    let first = job.start();
    job.until_rows(&[1]);
    let second = job.start();
    // Until it has sealed, the first one's checkpoint might come before.
    let term = || {
        let names = fs::read_dir(job.chain()).ok()?.flatten().map(|e| e.path());
        let head: Value = serde_json::from_slice(&fs::read(names.max()?).ok()?).ok()?;
        head["term"].as_u64()
    };
    until("another term", || term().is_some_and(|term| term > 1));
    job.give("b.csv", "2\n");
    let (code, text) = first.end();
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("another process runs this job with this state"), "{text}");
    job.until_rows(&[1, 2]);
    second.signal(Signal::INT);
    assert_eq!(second.end().0, 0);
}

#[test]
fn a_job_whose_chain_is_gone_does_not_start_empty() {
    let job = Copying::new(WATCHED);
    job.give("a.csv", "1\n");
    let run = job.start();
    job.until_rows(&[1]);
    until("the chain to know", || job.listed() == Some(0));
    run.signal(Signal::INT);
    assert_eq!(run.end().0, 0);
    fs::remove_dir_all(job.chain()).expect("removed");
    let (code, text) = job.run();
    assert!(code == 1 && text.contains("chain/ is empty or gone while"), "{code}: {text}");
    assert_eq!(job.rows(), [1], "nothing was written again");
}

#[test]
fn a_place_where_no_state_can_be_kept_is_told_with_its_flag() {
    let job = Copying::new("");
    job.give("a.csv", "1\n");
    let (code, text) = said(&job.command("job.yaml").output().expect("weir starts"));
    assert!(code != 0 && text.contains("the job's state cannot be kept in job.yaml"), "{text}");
    assert!(text.contains("choose another place with --state"), "{text}");
}
