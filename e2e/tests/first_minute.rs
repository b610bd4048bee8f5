//! What a newcomer sees in a terminal: a table with a header that fits the screen, a progress line
//! that never runs into rows, pauses that can be read.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_e2e::job::{Job, Manifest, repository};
use weir_e2e::process::{Process, wait_for};
use weir_e2e::programs;

const COLUMNS: usize = 100;
const ROWS: usize = 30;
const LIMIT: Duration = Duration::from_secs(60);

/// The lines that stay on a terminal after a command, for which `meanwhile` gets the lines so far.
fn on_terminal(
    job: &Job,
    arguments: &str,
    mut meanwhile: impl FnMut(&[String]) -> Result<bool>,
) -> Result<Vec<String>> {
    let log = job.folder().join("terminal");
    let weir = programs::weir()?;
    let command = format!(
        "stty cols {COLUMNS} rows {ROWS}; exec timeout --foreground -s INT 12 {} run {} --state {} {arguments}",
        weir.display(),
        job.manifest_file().display(),
        job.folder().join("state").display()
    );
    let mut script = Command::new("script");
    // Its own copy of what it shows is what is read.
    script.args(["--quiet", "--flush", "--command", &command]).arg(&log);
    script.env("TERM", "xterm").env_remove("NO_COLOR").stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = Process::start("script", &mut script)?;
    let shown = || screen(&String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()));
    wait_for("the end of the command", LIMIT, || {
        Ok(meanwhile(&shown())? || process.poll()?.is_some())
    })?;
    process.wait(LIMIT)?;
    // What `script` says of itself is none of it.
    Ok(shown().into_iter().filter(|line| !line.starts_with("Script ")).collect())
}

/// What a terminal makes of these bytes.
fn screen(bytes: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = bytes.chars().peekable();
    let mut at_start = false;
    while let Some(c) = rest.next() {
        let line = lines.last_mut().expect("one at least");
        match c {
            '\r' => at_start = true,
            '\n' => {
                lines.push(String::new());
                at_start = false;
            }
            '\x1b' => {
                let sequence: String =
                    rest.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
                if sequence == "[2" {
                    line.clear();
                }
            }
            c => {
                if std::mem::take(&mut at_start) && !line.is_empty() {
                    line.push('⏎');
                }
                line.push(c);
            }
        }
    }
    lines
}

#[test]
fn a_job_that_ends_is_a_table_that_fits_the_screen() -> Result<()> {
    let job = Job::existing(&repository().join("crds/examples/airport-delays.yaml"))?;
    let lines = on_terminal(&job, "--fresh", |_| Ok(false))?;
    let all = lines.join("\n");
    ensure!(all.contains("page http://127.0.0.1:"), "it says where the page is:\n{all}");
    let header = lines
        .iter()
        .position(|line| line.split_whitespace().eq(["window_start", "origin", "flights", "late"]));
    let header = header.with_context(|| format!("no header:\n{all}"))?;
    let first: Vec<&str> = lines[header + 1].split_whitespace().collect();
    ensure!(first[0].starts_with("2001-01-01") && first.len() == 5, "a row:\n{all}");
    ensure!(lines.len() - header < ROWS, "more than a screen:\n{all}");
    ensure!(lines.iter().all(|line| line.chars().count() <= COLUMNS + 40), "too wide:\n{all}");
    ensure!(all.contains("more rows") && all.contains("finished in "), "{all}");
    ensure!(!all.contains("+I["), "the form of a pipe:\n{all}");
    Ok(())
}

#[test]
fn rows_of_a_live_job_come_above_its_progress() -> Result<()> {
    let program = "CREATE TABLE numbers (n BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '200', 'fields.n.min' = '1', 'fields.n.max' = '1000000');
CREATE TABLE seen (n BIGINT) WITH ('connector' = 'print');
INSERT INTO seen SELECT n FROM numbers WHERE MOD(n, 20) = 0;
";
    for workers in ["", "--workers 2"] {
        let mut manifest = Manifest::new("numbers", program);
        manifest.parallelism = 2;
        let mut job = Job::new(manifest)?;
        let job_file = job.manifest_file().to_path_buf();
        let edited =
            std::fs::read_to_string(&job_file)?.replace("parallelism: 2", "parallelism: 3");
        let mut is_edited = false;
        let lines = on_terminal(&job, workers, |lines| {
            let rows = lines.iter().filter(|line| line.contains("+I[")).count();
            if rows > 20 && !is_edited {
                is_edited = true;
                std::fs::write(&job_file, &edited)?;
            }
            Ok(false)
        })?;
        job.set_parallelism(3)?;
        let all = lines.join("\n");
        let rows: Vec<&String> = lines.iter().filter(|line| line.contains("+I[")).collect();
        ensure!(rows.len() > 20, "rows of {workers:?}:\n{all}");
        for row in rows {
            let row = row.split_once("> ").map_or(row.as_str(), |(_, row)| row);
            let whole =
                row.starts_with("+I[") && row.ends_with(']') && row.matches("+I[").count() == 1;
            ensure!(whole, "a row and something else: {row}\n{all}");
        }
        let rescaled = lines.iter().find(|line| line.contains("rescaled 2 → 3"));
        let rescaled = rescaled.with_context(|| format!("no rescale with {workers:?}:\n{all}"))?;
        ensure!(!rescaled.contains("0.00 s"), "{rescaled}");
        ensure!(
            all.contains("stopping with a savepoint") && all.contains("saved at event time"),
            "{all}"
        );
    }
    Ok(())
}
