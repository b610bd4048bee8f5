//! Groups over all rows: their state outlives the process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use super::{Copying, Running, WATCHED, said, until};

/// What the lines of a print table fold to: a row per key.
fn fold(lines: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in lines.lines() {
        let (kind, row) = line.split_once('[').expect("a row");
        let row = row.trim_end_matches(']');
        let (key, values) = row.split_once(", ").expect("a key and values");
        let kind = kind.rsplit(' ').next().expect("a kind");
        assert!(["+I", "-U", "+U", "-D"].contains(&kind), "{kind} is no kind of row");
        match kind {
            "+I" | "+U" => drop(rows.insert(key.to_owned(), values.to_owned())),
            // A filter behind the group may take what follows.
            _ => drop(rows.remove(key)),
        }
    }
    rows
}

fn folded(path: &Path) -> BTreeMap<String, String> {
    fold(&fs::read_to_string(path).unwrap_or_default())
}

fn rows(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, values)| ((*key).to_owned(), (*values).to_owned())).collect()
}

#[test]
fn a_row_that_was_given_once_is_not_given_again_after_a_kill() {
    let job = Copying::new(WATCHED);
    job.write(WATCHED, "DISTINCT n");
    job.give("a.csv", "1\n2\n2\n3\n");
    let run = job.start();
    job.until_rows(&[1, 2, 3]);
    run.signal(Signal::KILL);
    run.end();
    job.give("b.csv", "3\n4\n1\n4\n2\n");
    let run = job.start();
    job.until_rows(&[1, 2, 3, 4]);
    job.give("c.csv", "4\n5\n1\n");
    job.until_rows(&[1, 2, 3, 4, 5]);
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert!(code == 0 && text.contains("saved at"), "{text}");
}

/// Each row is looked for twice, the second time in another order and mostly in segments.
#[test]
fn more_groups_than_memory_holds_are_read_back_and_no_row_is_given_twice() {
    const ROWS: u64 = 400_000;
    let job = Copying::new("");
    job.write("", "DISTINCT n");
    let lines =
        |step: u64| -> String { (0..ROWS).map(|n| format!("{}\n", n * step % ROWS)).collect() };
    job.give("a.csv", &lines(7_919));
    job.give("b.csv", &lines(104_729));
    let output = job.command("st").args(["--memory", "12MiB"]).output().expect("weir starts");
    let (code, text) = said(&output);
    assert!(code == 0 && !text.contains("restarting"), "{text}");
    assert!(job.rows().into_iter().eq(0..ROWS), "each once: {text}");
}

/// What waits in channels in front of a barrier becomes state before the checkpoint frees any.
#[test]
fn rows_that_come_faster_than_memory_is_emptied_wait_and_restart_nothing() {
    let job = Copying::new("");
    let manifest = "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: copy}
spec:
  parallelism: 2
  state: {checkpoint: {interval: 2s}}
  sql: |
    CREATE TABLE first_of_each (k BIGINT, a BIGINT, b BIGINT) WITH ('connector' = 'datagen',
      'number-of-rows' = '400000', 'rows-per-second' = '1000000000',
      'fields.k.kind' = 'sequence', 'fields.k.start' = '0', 'fields.k.end' = '399999');
    CREATE TABLE more (k BIGINT, a BIGINT, b BIGINT) WITH ('connector' = 'datagen',
      'number-of-rows' = '400000', 'rows-per-second' = '1000000000',
      'fields.k.min' = '0', 'fields.k.max' = '399999');
    CREATE TABLE sums (k BIGINT, n BIGINT, a BIGINT, least BIGINT, most BIGINT, b BIGINT)
      WITH ('connector' = 'blackhole');
    INSERT INTO sums SELECT k, COUNT(*), SUM(a), MIN(b), MAX(b), SUM(b) FROM (
      SELECT k, a, b FROM first_of_each UNION ALL SELECT k, a, b FROM more) GROUP BY k;
";
    fs::write(job.path("job.yaml"), manifest).expect("written");
    let output = job.command("st").args(["--memory", "16MiB"]).output().expect("weir starts");
    let (code, text) = said(&output);
    assert!(code == 0 && !text.contains("restarting"), "{text}");
    assert!(text.contains("800,000 rows in"), "{text}");
}

/// A job that prints groups of numbers by whether they are even.
fn write_grouping(job: &Copying, parallelism: u32) {
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: copy}}
spec:
  parallelism: {parallelism}
  state: {{checkpoint: {{interval: 100ms}}}}
  sql: |
    CREATE TABLE a (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'csv'{WATCHED});
    CREATE TABLE b (k BIGINT, c BIGINT, s BIGINT, least BIGINT, different BIGINT) WITH ('connector' = 'print');
    INSERT INTO b SELECT MOD(n, 3), COUNT(*), SUM(n), MIN(n), COUNT(DISTINCT n) FROM a
      GROUP BY MOD(n, 3) HAVING COUNT(*) < 100;
"
    );
    fs::write(job.path("job.yaml"), manifest).expect("written");
}

fn start_printing(job: &Copying, to: &str) -> Running {
    let out = File::create(job.path(to)).expect("made");
    Running(job.command("st").stdout(out).stderr(Stdio::piped()).spawn().expect("weir starts"))
}

#[test]
fn groups_go_on_where_they_were_with_another_parallelism() {
    let job = Copying::new(WATCHED);
    write_grouping(&job, 1);
    job.give("a.csv", "1\n2\n3\n4\n4\n");
    let run = start_printing(&job, "first");
    let before = rows(&[("0", "1, 3, 3, 1"), ("1", "3, 9, 1, 2"), ("2", "1, 2, 2, 1")]);
    until("the groups", || folded(&job.path("first")) == before);
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert_eq!(code, 0, "{text}");
    write_grouping(&job, 3);
    let run = start_printing(&job, "second");
    job.give("b.csv", "7\n1\n6\n");
    // Only groups that something happened to are told of, from where they were.
    let after = rows(&[("0", "2, 9, 3, 2"), ("1", "5, 17, 1, 3")]);
    until("the groups", || folded(&job.path("second")) == after);
    let text = fs::read_to_string(job.path("second")).expect("readable");
    assert!(text.contains("-U[0, 1, 3, 3, 1]") && text.contains("+U[0, 2, 9, 3, 2]"), "{text}");
    // What HAVING no longer takes goes, and stays away.
    let many: String = (0..60).map(|_| "3\n3\n").collect();
    job.give("c.csv", &many);
    let left = rows(&[("1", "5, 17, 1, 3")]);
    until("the group to go", || folded(&job.path("second")) == left);
    run.signal(Signal::INT);
    assert_eq!(run.end().0, 0);
}
