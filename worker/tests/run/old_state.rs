//! State that an earlier version of Weir left behind: jobs that were killed while they ran, with
//! manifests of the first format, go on where they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use super::{Running, fold, said, until};

/// A folder with a job of `tests/run/golden`, which ran in a folder of that name.
fn job(golden: &str, version: u64, ran_in: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/golden").join(golden);
    let folder = TempDir::new().expect("a folder");
    let chain = folder.path().join("st/default/sums/chain");
    fs::create_dir_all(&chain).expect("made");
    fs::copy(from.join("job.yaml"), folder.path().join("job.yaml")).expect("copied");
    let manifest = fs::read(from.join("manifest-1.json")).expect("it is there");
    let mut manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let here = folder.path().to_str().expect("a path that is text").to_owned();
    move_paths(&mut manifest, ran_in, &here);
    fs::write(chain.join(format!("{version:020}")), manifest.to_string()).expect("written");
    folder
}

/// Positions and snapshots are bytes, as arrays of numbers, and name files by their whole paths.
fn move_paths(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|v| move_paths(v, from, to)),
        Value::Array(values) => {
            let bytes = values.iter().map(|v| v.as_u64().and_then(|n| u8::try_from(n).ok()));
            let text = bytes.collect::<Option<Vec<u8>>>().and_then(|b| String::from_utf8(b).ok());
            match text.filter(|text| text.contains(from)) {
                Some(text) => *value = text.replace(from, to).into_bytes().into(),
                None => values.iter_mut().for_each(|v| move_paths(v, from, to)),
            }
        }
        _ => {}
    }
}

fn weir(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["run", "--no-color", "--retries", "1", "--state", "st", "job.yaml"]);
    command.current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// Files that were read stay read, one whose last line had no end goes on behind it, and windows
/// that were open have their rows of before.
#[test]
fn a_job_over_watched_files_goes_on() {
    let folder = job("files", 4, "/tmp/old");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/golden/files/in");
    let path = folder.path().join("in");
    fs::create_dir(&path).expect("made");
    for name in ["a.csv", "b.csv"] {
        fs::copy(from.join(name), path.join(name)).expect("copied");
        let file = fs::File::options().write(true).open(path.join(name)).expect("opened");
        // As it was when it was read: 2026-01-01 12:00.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800);
        file.set_modified(at).expect("set");
    }
    let mut running = Running(
        weir(&folder).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("weir starts"),
    );
    let mut file = fs::File::options().append(true).open(path.join("b.csv")).expect("opened");
    std::io::Write::write_all(&mut file, b"8\n2026-01-01 03:00:00,x,0\n").expect("written");
    drop(file);
    let rows = || -> Vec<String> {
        let files = fs::read_dir(folder.path().join("out")).into_iter().flatten().flatten();
        let files = files.filter(|e| e.path().is_file());
        let text = files.filter_map(|e| fs::read_to_string(e.path()).ok());
        let mut rows: Vec<String> =
            text.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        rows.sort_unstable();
        rows
    };
    let row = |k: &str, n: u64, many: u64| {
        format!(r#"{{"w":"2026-01-01 01:00:00","k":"{k}","n":{n},"many":{many}}}"#)
    };
    let expected = [row("x", 20, 2), row("y", 8, 1), row("z", 328, 1)];
    until("rows", || rows() == expected || running.0.try_wait().is_ok_and(|end| end.is_some()));
    assert_eq!(rows(), expected);
}

/// Splits go on at their positions: no window that was open at the cut, and none behind it, misses a
/// row or has one twice.
#[test]
fn a_job_that_generates_rows_goes_on() {
    let folder = job("datagen", 11, "/tmp/old2");
    let output = weir(&folder).output().expect("weir starts");
    let (code, text) = said(&output);
    assert_eq!(code, 0, "{text}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rows: Vec<&str> =
        printed.lines().filter_map(|l| l.split_once("+I[").map(|(_, row)| row)).collect();
    rows.sort_unstable();
    let expected: Vec<String> = (44..67_u64)
        .map(|minute| {
            let (first, end) = (minute * 60, (minute * 60 + 60).min(4_000));
            let sum: u64 = (first..end).sum();
            let (hour, minute) = (minute / 60, minute % 60);
            format!("1970-01-01T{hour:02}:{minute:02}:00Z, {sum}, {}]", end - first)
        })
        .collect();
    assert_eq!(rows, expected);
    assert!(text.contains("4,000"), "all rows are counted once: {text}");
}

/// What each print table holds after these lines.
fn tables(lines: &str) -> BTreeMap<String, BTreeMap<String, i64>> {
    let mut of_table: BTreeMap<String, String> = BTreeMap::new();
    for line in lines.lines() {
        let (table, row) = line.split_once("> ").expect("a table's row");
        // Behind the table's name may stand the subtask's number.
        let table = table.split(':').next().unwrap_or(table).to_owned();
        of_table.entry(table).or_default().push_str(&format!(" {row}\n"));
    }
    of_table.into_iter().map(|(table, lines)| (table, fold(&lines))).collect()
}

/// A job that was stopped behind a savepoint: with what it had given until then, the rest is what a
/// run gives that was never stopped.
fn goes_on(golden: &str, version: u64, of_tables: usize) {
    let folder = job(golden, version, "/nowhere");
    let rest = weir(&folder).output().expect("weir starts");
    let (code, text) = said(&rest);
    assert_eq!(code, 0, "{text}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/golden").join(golden);
    let given = fs::read_to_string(golden.join("given.txt")).expect("it is there");
    let resumed = format!("{given}{}", String::from_utf8_lossy(&rest.stdout));
    let anew = TempDir::new().expect("a folder");
    fs::copy(golden.join("job.yaml"), anew.path().join("job.yaml")).expect("copied");
    let whole = weir(&anew).output().expect("weir starts");
    let (code, text) = said(&whole);
    assert_eq!(code, 0, "{text}");
    let whole = tables(&String::from_utf8_lossy(&whole.stdout));
    assert_eq!(whole.len(), of_tables, "all tables have rows");
    assert_ne!(tables(&String::from_utf8_lossy(&rest.stdout)), whole, "some were given before");
    assert_eq!(tables(&resumed), whole);
}

/// Groups, groups of groups, joins, rows by rank, over others and in sessions, as they were saved
/// when state tables were new.
#[test]
fn a_job_with_every_kind_of_state_table_goes_on() {
    goes_on("tables", 6, 11);
}

/// Ranks, joins of every kind, versions of rows, patterns, sets, frames that are corrected, windows,
/// and aggregates that keep more than a number, as they were saved when Flink's SQL was whole.
#[test]
fn a_job_with_every_other_operator_goes_on() {
    goes_on("operators", 7, 24);
}
