//! `weir` in the hand of a user: stop and go on, edit and rescale, look at what is stored, and
//! what a mistake looks like.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use weir_e2e::cache::tail;
use weir_e2e::data::Format;
use weir_e2e::job::{Job, Manifest, Run, read_output};
use weir_e2e::process::{Process, wait_for};
use weir_e2e::programs;
use weir_e2e::rows::Rows;

const ROWS: u64 = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Numbers from 1 to [`ROWS`], four thousand a second, each written to a file once.
fn numbers(output: &Path) -> String {
    format!(
        "CREATE TABLE numbers (n BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '4000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{ROWS}');
CREATE TABLE seen (n BIGINT, twice BIGINT)
WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
INSERT INTO seen SELECT n, n * 2 FROM numbers;
",
        output.display()
    )
}

fn check(output: &Path, times: u64) -> Result<()> {
    let mut right = Rows::default();
    for n in 1..=ROWS {
        (0..times).for_each(|_| right.add(&[n.into(), (n * 2).into()]));
    }
    right.check("numbers", &read_output(output, Format::Json, &["n", "twice"])?)
}

fn weir(arguments: &[&str], folder: &Path) -> Result<Output> {
    Ok(Command::new(programs::weir()?).args(arguments).current_dir(folder).output()?)
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// Until the running job has published two checkpoints.
fn let_it_run(job: &Job, run: &mut Run) -> Result<()> {
    let chain = job.folder().join("state/default/numbers/chain");
    let newest = || -> Option<u64> {
        let names = fs::read_dir(&chain).ok()?.flatten();
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max()
    };
    // The first manifest of a run is its seal.
    let enough = newest().unwrap_or(0) + 3;
    wait_for("two checkpoints", LIMIT, || {
        ensure!(run.process.poll()?.is_none(), "it ended early:\n{}", tail(&run.log()));
        Ok(newest() >= Some(enough))
    })
}

fn interrupt(mut run: Run) -> Result<String> {
    run.process.signal(Signal::INT)?;
    let status = run.process.wait(LIMIT).with_context(|| tail(&run.log()))?;
    let log = run.log();
    ensure!(status.success(), "Ctrl-C ended it with {status}:\n{}", tail(&log));
    Ok(log)
}

#[test]
fn ctrl_c_stops_with_a_savepoint_and_the_next_run_goes_on() -> Result<()> {
    for workers in [0, 2] {
        let output = TempDir::new()?;
        let job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
        let mut run = job.start(workers)?;
        let_it_run(&job, &mut run)?;
        let log = interrupt(run)?;
        ensure!(log.contains("stopping with a savepoint"), "it says what it does:\n{}", tail(&log));
        ensure!(
            log.contains("run it again to go on from there"),
            "and how to go on:\n{}",
            tail(&log)
        );
        let summary = job.run_to_end(workers, LIMIT)?;
        // What the first run read counts, and nothing that was read again.
        ensure!((summary.rows_in, summary.rows_out) == (ROWS, ROWS), "{summary:?}");
        check(output.path(), 1).with_context(|| format!("with {workers} workers"))?;
    }
    Ok(())
}

#[test]
fn fresh_starts_over_and_leaves_visible_output_alone() -> Result<()> {
    let output = TempDir::new()?;
    let job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
    job.run_to_end(0, LIMIT)?;
    check(output.path(), 1)?;
    let job = job.with_arguments(&["--fresh"]);
    job.run_to_end(0, LIMIT)?;
    check(output.path(), 2)
}

#[test]
fn saving_the_manifest_rescales_the_running_job() -> Result<()> {
    for workers in [0, 3] {
        let output = TempDir::new()?;
        let mut job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
        let mut run = job.start(workers)?;
        let_it_run(&job, &mut run)?;
        job.set_parallelism(3)?;
        wait_for("the line 'rescaled …'", Duration::from_secs(20), || {
            Ok(run.log().contains("rescaled "))
        })
        .with_context(|| tail(&run.log()))?;
        let summary = run.finish(LIMIT)?;
        ensure!((summary.rows_in, summary.rows_out) == (ROWS, ROWS), "{summary:?}");
        check(output.path(), 1).with_context(|| format!("with {workers} workers"))?;
    }
    Ok(())
}

#[test]
fn an_edit_that_is_wrong_leaves_the_job_running() -> Result<()> {
    let output = TempDir::new()?;
    let job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
    let mut run = job.start(0)?;
    let_it_run(&job, &mut run)?;
    let right = fs::read_to_string(job.manifest_file())?;
    fs::write(job.manifest_file(), right.replace("parallelism: 1", "parallelism: 0"))?;
    wait_for("the fault of the edited manifest", Duration::from_secs(20), || {
        Ok(run.log().contains("spec.parallelism: 0 would do no work"))
    })
    .with_context(|| tail(&run.log()))?;
    run.finish(LIMIT)?;
    check(output.path(), 1)
}

#[test]
fn stored_state_can_be_looked_at_and_damage_is_found() -> Result<()> {
    let output = TempDir::new()?;
    let job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
    let mut run = job.start(0)?;
    let_it_run(&job, &mut run)?;
    interrupt(run)?;

    let place = job.folder().join("state/default/numbers");
    let place = place.to_str().context("a path in UTF-8")?;
    for arguments in [["state", "ls", place], ["state", "show", place], ["state", "verify", place]]
    {
        let output = weir(&arguments, job.folder())?;
        ensure!(output.status.success(), "{arguments:?}: {}", text(&output));
        ensure!(!output.stdout.is_empty(), "{arguments:?} says nothing");
    }
    let json = weir(&["state", "show", place, "-o", "json"], job.folder())?;
    serde_json::from_slice::<serde_json::Value>(&json.stdout).context("-o json is JSON")?;

    let chain = Path::new(place).join("chain");
    let mut versions: Vec<_> =
        fs::read_dir(&chain)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    versions.sort();
    let head = versions.last().context("a chain")?;
    let bytes = fs::read(head)?;
    fs::write(head, &bytes[..bytes.len() / 2])?;
    let output = weir(&["state", "verify", place], job.folder())?;
    ensure!(!output.status.success(), "half a manifest passed: {}", text(&output));
    ensure!(!text(&output).contains("panicked"), "{}", text(&output));
    Ok(())
}

#[test]
fn a_reader_of_standard_output_that_leaves_ends_the_job() -> Result<()> {
    let program = "CREATE TABLE numbers (n BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '4000');
CREATE TABLE seen (n BIGINT) WITH ('connector' = 'print');
INSERT INTO seen SELECT n FROM numbers;
";
    for workers in ["", "--workers 2"] {
        let job = Job::new(Manifest::new("numbers", program))?;
        let state = job.folder().join("state");
        let mut command = Command::new(programs::weir()?);
        command.arg("run").arg(job.manifest_file()).args(workers.split_whitespace());
        command.arg("--state").arg(&state).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut run = Process::start("weir run", &mut command)?;
        let output = run.take_stdout().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.contains("+I["), "{line}");
        // The pipe has no reader from here on.
        let status = run.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "it ended with {status}");
    }
    Ok(())
}

#[test]
fn a_manifest_in_the_current_folder_finds_its_files() -> Result<()> {
    let folder = TempDir::new()?;
    fs::create_dir(folder.path().join("in"))?;
    fs::write(folder.path().join("in/a.csv"), "1\n2\n3\n")?;
    let program = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'csv');
CREATE TABLE seen (n BIGINT) WITH ('connector' = 'print');
INSERT INTO seen SELECT n FROM numbers;
";
    fs::write(folder.path().join("job.yaml"), Manifest::new("numbers", program).yaml()?)?;
    let output = weir(&["run", "job.yaml"], folder.path())?;
    let said = text(&output);
    ensure!(output.status.success() && said.contains("+I[3]"), "{said}");
    ensure!(said.contains("filesystem numbers ──► print seen"), "the flow in a line:\n{said}");
    Ok(())
}

#[test]
fn every_mistake_is_told_at_once_and_nothing_starts() -> Result<()> {
    let folder = TempDir::new()?;
    fs::write(
        folder.path().join("job.yaml"),
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: Wrong}
spec:
  paralelism: 2
  parallelism: 2000
  sql: SELECT 1
",
    )?;
    for command in ["plan", "run"] {
        let output = weir(&[command, "job.yaml"], folder.path())?;
        let said = text(&output);
        ensure!(!output.status.success(), "{command} took it: {said}");
        for line in [
            "job.yaml:3 metadata.name: 'Wrong' contains 'W'; use a to z, 0 to 9 and '-' only",
            "job.yaml:5 spec.paralelism: unknown field; did you mean 'parallelism'?",
            "job.yaml:6 spec.parallelism: 2000 is above maxParallelism 720; parallelism can be 1 to 720 for this job",
        ] {
            ensure!(said.contains(line), "{command} does not say\n  {line}\nbut\n{said}");
        }
        ensure!(!folder.path().join(".weir").exists(), "{command} made a folder for state");
    }
    Ok(())
}

#[test]
fn a_plan_names_operators_and_guarantees() -> Result<()> {
    let output = TempDir::new()?;
    let job = Job::new(Manifest::new("numbers", &numbers(output.path())))?;
    let manifest = job.manifest_file().to_str().context("a path in UTF-8")?;
    let shown = weir(&["plan", manifest], job.folder())?;
    ensure!(shown.status.success(), "{}", text(&shown));
    ensure!(text(&shown).contains("exactly once"), "{}", text(&shown));
    let json = weir(&["plan", manifest, "-o", "json"], job.folder())?;
    serde_json::from_slice::<serde_json::Value>(&json.stdout).context("-o json is JSON")?;
    Ok(())
}

#[test]
fn a_wrong_record_names_its_file_and_place() -> Result<()> {
    let folder = TempDir::new()?;
    fs::create_dir(folder.path().join("in"))?;
    fs::write(
        folder.path().join("in/a.json"),
        "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3, \"m\" 4}\n{\"n\": 5}\n",
    )?;
    let program = |option: &str| {
        format!(
            "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{0}/in', 'format' = 'json'{option});
CREATE TABLE seen (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{0}/out', 'format' = 'json');
INSERT INTO seen SELECT n FROM numbers;
",
            folder.path().display()
        )
    };
    let strict = Job::new(Manifest::new("strict", &program("")))?;
    let mut run = strict.start(0)?;
    let status = run.process.wait(LIMIT).with_context(|| tail(&run.log()))?;
    let log = run.log();
    ensure!(!status.success(), "a broken record passed:\n{log}");
    ensure!(log.contains("a.json:3"), "file and line are named:\n{log}");
    ensure!(log.contains("json.ignore-parse-errors"), "and the way out:\n{log}");
    ensure!(!log.contains("panicked"), "{log}");

    let lenient = program(", 'json.ignore-parse-errors' = 'true'");
    let summary = Job::new(Manifest::new("lenient", &lenient))?.run_to_end(0, LIMIT)?;
    ensure!((summary.rows_in, summary.malformed) == (3, 1), "{summary:?}");
    Ok(())
}
