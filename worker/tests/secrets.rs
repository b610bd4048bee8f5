//! Values of the environment, planted and looked for in everything that `weir run` leaves behind:
//! both outputs, with every log line, and the state.

#![allow(clippy::panic, reason = "a test's helpers fail the test")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use weir_engine::env::instant;

/// Long enough for a cluster that cannot be reached, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(120);

/// Variables, by name and value.
const PLANTED: [(&str, &str); 4] = [
    ("PASSWORD", "pl4nted \"pass\"/word"),
    ("USER_NAME", "planted-user"),
    ("SERVERS", "planted-host.invalid:9092"),
    ("RATE", "918273x"),
];

/// Runs a job until it ends, or until it has said `enough`; returns all that it said.
fn run(sql: &str, enough: &str, state: &Path) -> String {
    let folder = state.parent().expect("below a folder of the test");
    let sql: String = sql.lines().map(|line| format!("    {line}\n")).collect();
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: planted}}\nspec:\n  sql: |\n{sql}"
    );
    fs::write(folder.join("job.yaml"), manifest).expect("written");
    let said = folder.join("said");
    let to = File::create(&said).expect("a file");
    let mut job = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["run", "--no-color", "--retries", "1", "--state"])
        .arg(state)
        .arg(folder.join("job.yaml"))
        .envs(PLANTED)
        .env("DIRECTORY", folder.join("planted-directory"))
        .env("WEIR_LOG", "trace,h2=info,hyper=info")
        .stdin(Stdio::null())
        .stdout(to.try_clone().expect("a second handle"))
        .stderr(to)
        .spawn()
        .expect("weir starts");
    let began = instant();
    loop {
        let text = fs::read_to_string(&said).expect("text");
        let ended = job.try_wait().expect("a child").is_some();
        if ended || text.contains(enough) {
            job.kill().ok();
            job.wait().expect("it ends");
            let text = fs::read_to_string(&said).expect("text");
            assert!(text.contains(enough), "{text}");
            return text;
        }
        assert!(began.elapsed() < LIMIT, "it never said '{enough}': {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn files(below: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), fs::read(&path).expect("read"))),
        }
    }
}

/// Nothing of what was planted stands in what was said or stored.
fn assert_nothing_shows(said: &str, state: &Path) {
    let mut found = vec![("what it said".to_owned(), said.as_bytes().to_vec())];
    files(state, &mut found);
    for (place, bytes) in found {
        let text = String::from_utf8_lossy(&bytes);
        for part in ["pl4nted", "planted-user", "planted-host", "918273", "planted-directory"] {
            let shown = text.lines().find(|line| line.contains(part));
            assert_eq!(shown, None, "'{part}' in {place}");
        }
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_gives_nothing_away() {
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state");
    let said = run(
        r#"CREATE TABLE bids (price INT) WITH (
  'connector' = 'kafka', 'topic' = 'bids', 'format' = 'json',
  'properties.bootstrap.servers' = '${env:SERVERS}', 'scan.startup.mode' = 'earliest-offset',
  'properties.security.protocol' = 'SASL_PLAINTEXT', 'properties.sasl.mechanism' = 'PLAIN',
  'properties.sasl.username' = '${env:USER_NAME}',
  'properties.sasl.password' = '${env:PASSWORD}');
CREATE TABLE nowhere (price INT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT price FROM bids;"#,
        "Kafka at '${env:SERVERS}' cannot be reached",
        &state,
    );
    assert_nothing_shows(&said, &state);
}

#[test]
fn a_path_and_an_option_that_are_wrong_give_nothing_away() {
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state");
    let said = run(
        "CREATE TABLE files (price INT) WITH (
  'connector' = 'filesystem', 'path' = '${env:DIRECTORY}/in', 'format' = 'csv');
CREATE TABLE nowhere (price INT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT price FROM files;",
        "${env:DIRECTORY}/in: there is no such file or directory",
        &state,
    );
    assert_nothing_shows(&said, &state);
    let said = run(
        "CREATE TABLE made (price INT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '${env:RATE}');
CREATE TABLE nowhere (price INT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT price FROM made;",
        "'rows-per-second' is '${env:RATE}' (its value is not shown); give a whole number from 0",
        &state,
    );
    assert_nothing_shows(&said, &state);
}
