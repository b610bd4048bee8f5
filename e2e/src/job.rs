//! A job as a user has it: a manifest in a folder, `weir run`, files that come out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cache;
use crate::data::Format;
use crate::process::{self, Process};
use crate::programs;
use crate::rows::{Rows, timestamp};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// What a manifest says; the rest has its defaults.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// `metadata.name`.
    pub name: String,
    /// `spec.parallelism`.
    pub parallelism: u32,
    /// `spec.state.checkpoint.interval`.
    pub interval: Duration,
    /// `spec.state.root`; `None`: a folder beside the manifest, by `--state`.
    pub root: Option<String>,
    /// `spec.sql`.
    pub sql: String,
}

impl Manifest {
    /// A job with parallelism 1 and a checkpoint every second.
    #[must_use]
    pub fn new(name: &str, sql: &str) -> Self {
        Self {
            name: name.to_owned(),
            parallelism: 1,
            interval: Duration::from_secs(1),
            root: None,
            sql: sql.to_owned(),
        }
    }

    /// The manifest as text, read back once so that no test runs on a wrong one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn yaml(&self) -> Result<String> {
        let mut text = format!(
            "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: {}}}\nspec:\n  parallelism: {}\n  state:\n    checkpoint: {{interval: {}}}\n",
            self.name,
            self.parallelism,
            weir_crds::format_duration(self.interval),
        );
        if let Some(root) = &self.root {
            text.push_str(&format!("    root: {root}\n"));
        }
        text.push_str("  restart:\n    backoff: {initial: 100ms, max: 1s}\n  sql: |\n");
        for line in self.sql.lines() {
            text.push_str(&format!("    {line}\n"));
        }
        if let Err(faults) = weir_crds::StreamJob::from_yaml(&text, "job.yaml") {
            bail!(
                "{}\n{text}",
                faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            );
        }
        Ok(text)
    }
}

/// A manifest, a folder for the job's state (unless the manifest names a store), and its logs.
#[derive(Debug)]
pub struct Job {
    /// State and logs.
    folder: TempDir,
    file: PathBuf,
    /// `None` for a manifest that somebody else wrote.
    manifest: Option<Manifest>,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
    /// A program and its arguments that become `weir run`.
    within: Vec<String>,
}

impl Job {
    /// Writes the manifest.
    ///
    /// # Errors
    /// When it is wrong.
    pub fn new(manifest: Manifest) -> Result<Self> {
        let folder = TempDir::with_prefix("weir-job-")?;
        let file = folder.path().join("job.yaml");
        let job = Self {
            folder,
            file,
            manifest: Some(manifest),
            environment: Vec::new(),
            arguments: Vec::new(),
            within: Vec::new(),
        };
        job.write()?;
        Ok(job)
    }

    /// A manifest that is there already; state and logs go to a folder of their own.
    ///
    /// # Errors
    /// When that folder cannot be made.
    pub fn existing(file: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix("weir-job-")?;
        Ok(Self {
            folder,
            file: file.to_path_buf(),
            manifest: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            within: Vec::new(),
        })
    }

    /// Adds environment for the program, such as a store's credentials.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(&'static str, String)>) -> Self {
        self.environment.extend(environment);
        self
    }

    /// Adds arguments of `weir run`.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Starts the program by another one, which gets its command line behind these words and must
    /// become it (`exec`).
    #[must_use]
    pub fn within(mut self, words: Vec<String>) -> Self {
        self.within = words;
        self
    }

    /// The job's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The manifest's file.
    #[must_use]
    pub fn manifest_file(&self) -> &Path {
        &self.file
    }

    /// Saves the manifest with another parallelism, as an editor does: a running job rescales.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_parallelism(&mut self, parallelism: u32) -> Result<()> {
        self.manifest.as_mut().context("not a manifest of ours")?.parallelism = parallelism;
        self.write()
    }

    fn write(&self) -> Result<()> {
        let manifest = self.manifest.as_ref().context("not a manifest of ours")?;
        let hidden = self.folder.path().join(".job.yaml.new");
        fs::write(&hidden, manifest.yaml()?)?;
        fs::rename(hidden, &self.file)?;
        Ok(())
    }

    /// Starts `weir run`; `workers` 0 means: in one process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, workers: u32) -> Result<Run> {
        static RUNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let run = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = self.folder.path().join(format!("run-{run}.log"));
        let output = File::create(&log)?;
        let mut words: Vec<_> = self.within.iter().map(std::ffi::OsString::from).collect();
        words.push(programs::weir()?.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("run").arg(self.manifest_file()).args(&self.arguments);
        if workers > 0 {
            command.args(["--workers", &workers.to_string()]);
        }
        if self.manifest.as_ref().is_none_or(|manifest| manifest.root.is_none()) {
            command.arg("--state").arg(self.folder.path().join("state"));
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Run { process: Process::start("weir run", &mut command)?, log })
    }

    /// Runs a bounded job to its end.
    ///
    /// # Errors
    /// When it fails or takes longer than `limit`; the message holds the end of its output.
    pub fn run_to_end(&self, workers: u32, limit: Duration) -> Result<Summary> {
        self.start(workers)?.finish(limit)
    }
}

/// A running job.
#[derive(Debug)]
pub struct Run {
    /// The process of `weir run`; with workers they are below it.
    pub process: Process,
    log: PathBuf,
}

impl Run {
    /// The worker process with this ordinal, if there is one now. Ordinal 0 coordinates.
    #[must_use]
    pub fn worker(&self, ordinal: u32) -> Option<u32> {
        let wanted = ["--ordinal".to_owned(), ordinal.to_string()];
        self.process
            .descendants()
            .into_iter()
            .find(|id| process::command_line(*id).windows(2).any(|pair| pair == wanted))
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end, which must be a success.
    ///
    /// # Errors
    /// When it fails or takes longer than `limit`.
    pub fn finish(mut self, limit: Duration) -> Result<Summary> {
        let status = self
            .process
            .wait(limit)
            .with_context(|| format!("its output:\n{}", cache::tail(&self.log())))?;
        self.summary(status)
    }

    /// Waits for its end, which must be a success; also returns the CPU time of all its processes.
    ///
    /// # Errors
    /// When it fails.
    pub fn finish_with_cpu(mut self) -> Result<(Summary, Duration)> {
        let (status, cpu) = self.process.wait_with_cpu()?;
        Ok((self.summary(status)?, cpu))
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// What it said at its end.
    ///
    /// # Errors
    /// When it failed or said nothing.
    pub fn summary(&self, status: ExitStatus) -> Result<Summary> {
        let log = self.log();
        ensure!(status.success(), "weir run ended with {status}:\n{}", cache::tail(&log));
        Summary::find(&log)
            .with_context(|| format!("no line 'finished in …' in:\n{}", cache::tail(&log)))
    }
}

/// The closing line: `finished in 0.4 s: 200,000 rows in, 41,388 out, 0 late, 0 malformed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows that came too late for every window.
    pub late: u64,
    /// Records skipped as malformed.
    pub malformed: u64,
}

impl Summary {
    /// The one in this output, if it says it.
    #[must_use]
    pub fn find(log: &str) -> Option<Self> {
        let line = log.lines().rev().find(|line| line.trim_start().starts_with("finished in "))?;
        let (_, counts) = line.split_once(": ")?;
        let number = |suffix: &str| {
            counts.split(", ").find_map(|part| {
                let digits = part.trim().strip_suffix(suffix)?.trim();
                digits.replace(',', "").parse::<u64>().ok()
            })
        };
        Some(Self {
            rows_in: number("rows in")?,
            rows_out: number("out")?,
            late: number("late")?,
            malformed: number("malformed")?,
        })
    }
}

/// The committed rows below a folder, `columns` of them. Names that begin with `.` or `_` are
/// not committed: as with Hadoop and Flink, readers skip them.
///
/// # Errors
/// When a file cannot be read as `format`.
pub fn read_output(folder: &Path, format: Format, columns: &[&str]) -> Result<Rows> {
    let mut rows = Rows::default();
    for path in visible_files(folder)? {
        read_file(&path, format, columns, &mut rows)
            .with_context(|| format!("read {}", path.display()))?;
    }
    Ok(rows)
}

/// All files below `folder` that readers would see; none if there is no such folder.
///
/// # Errors
/// Those of the file system.
pub fn visible_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(['.', '_']) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, format: Format, columns: &[&str], rows: &mut Rows) -> Result<()> {
    match format {
        Format::Json => {
            for line in fs::read_to_string(path)?.lines() {
                let row: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
                let values: Vec<_> = columns.iter().map(|name| row[*name].clone()).collect();
                rows.add(&values);
            }
        }
        Format::Csv => {
            for line in fs::read_to_string(path)?.lines() {
                let values: Vec<_> =
                    line.split(',').map(|field| json!(field.trim_matches('"'))).collect();
                ensure!(values.len() == columns.len(), "{} fields in {line}", values.len());
                rows.add(&values);
            }
        }
        Format::Parquet => {
            for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
                read_batch(&batch?, columns, rows)?;
            }
        }
    }
    Ok(())
}

fn read_batch(batch: &RecordBatch, columns: &[&str], rows: &mut Rows) -> Result<()> {
    let columns: Vec<_> = columns
        .iter()
        .map(|name| batch.column_by_name(name).with_context(|| format!("no column {name}")))
        .collect::<Result<_>>()?;
    for row in 0..batch.num_rows() {
        let values: Vec<_> =
            columns.iter().map(|column| value(column, row)).collect::<Result<_>>()?;
        rows.add(&values);
    }
    Ok(())
}

fn value(column: &dyn Array, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Utf8View => json!(column.as_string_view().value(row)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            json!(timestamp(column.as_primitive::<TimestampMillisecondType>().value(row)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            json!(timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row) / 1000))
        }
        other => bail!("columns of type {other} are not read here"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_read() {
        let log = "  2001-01-01 06:00:00  ATL  38  4\nfinished in 0.4 s: 200,000 rows in, 41,388 out, 7 late, 0 malformed\n";
        let summary = Summary { rows_in: 200_000, rows_out: 41_388, late: 7, malformed: 0 };
        assert_eq!(Summary::find(log), Some(summary));
        assert_eq!(Summary::find("finished in 0.4 s: nothing"), None);
    }

    #[test]
    fn what_is_written_is_read_alike_in_every_format() {
        use crate::data::{Layout, flights, write_part};
        let flights = flights().expect("the flights");
        let rows = &Layout::Shuffled.arrange(&flights[..1000])[0].rows;
        let columns = ["date", "delay", "distance", "origin", "destination"];
        let read: Vec<Rows> = Format::ALL
            .iter()
            .map(|&format| {
                let folder = TempDir::new().expect("a folder");
                write_part(folder.path(), "part", format, rows).expect("written");
                fs::write(folder.path().join(".part.staged"), "never read").expect("written");
                read_output(folder.path(), format, &columns).expect("read")
            })
            .collect();
        assert_eq!(read[0].len(), 1000);
        read[0].check("CSV beside JSON", &read[1]).expect("equal");
        read[0].check("Parquet beside JSON", &read[2]).expect("equal");
    }

    #[test]
    fn a_manifest_of_a_test_is_a_right_one() {
        let manifest = Manifest::new("counts", "SELECT 1;\n\n  SELECT 2");
        assert!(manifest.yaml().is_ok());
        let wrong = Manifest { parallelism: 0, ..manifest };
        assert!(wrong.yaml().is_err());
    }
}
