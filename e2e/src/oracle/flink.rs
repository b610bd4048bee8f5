//! Flink 2.3, the peer: its answers where it and DuckDB differ, and its speed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::Instant;

use crate::cache;
use crate::process::Process;

/// Its version: the newest, built for Flink 2.2.
const KAFKA_CONNECTOR: &str = "5.0.0-2.2";
const RUNNER: &str = include_str!("../../flink/FlinkSql.java");

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct FlinkRun {
    /// CPU time of the JVM, its start included.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
}

/// Runs a program of statements, each ending in `;` and a line break, to the end of its input.
///
/// # Errors
/// When Flink cannot be installed, or the program fails.
pub fn run(sql: &str, parallelism: u32) -> Result<FlinkRun> {
    run_with(sql, parallelism, &[], &[])
}

/// Flink's Kafka connector, which does not come with Flink: its jar, fetched from Maven's central
/// repository if need be.
///
/// # Errors
/// When Maven is missing or cannot fetch it.
pub fn kafka_connector() -> Result<PathBuf> {
    let name = format!("flink-sql-connector-kafka-{KAFKA_CONNECTOR}");
    let folder = cache::folder(&name, |folder| {
        let artifact = format!("org.apache.flink:flink-sql-connector-kafka:{KAFKA_CONNECTOR}");
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "dependency:copy", "-Dmdep.useBaseVersion=true"]);
        command.arg(format!("-Dartifact={artifact}")).arg("-DoutputDirectory=.");
        cache::run(command.current_dir(folder))?;
        Ok(())
    })?;
    Ok(folder.join(format!("{name}.jar")))
}

/// Runs a program with connectors (jars) that do not come with Flink, and with settings
/// (`name=value`).
///
/// # Errors
/// When Flink cannot be installed, or the program fails.
pub fn run_with(
    sql: &str,
    parallelism: u32,
    jars: &[PathBuf],
    settings: &[String],
) -> Result<FlinkRun> {
    let home = cache::python("python-flink-2.3.0", &["apache-flink==2.3.0"])?;
    let flink = find_flink(&home)?;
    let scratch = tempfile::tempdir()?;
    let runner = scratch.path().join("FlinkSql.java");
    let program = scratch.path().join("program.sql");
    let log = scratch.path().join("log");
    fs::write(&runner, RUNNER)?;
    fs::write(&program, sql)?;
    let output = fs::File::create(&log)?;
    let mut command = Command::new("java");
    command
        .args(java_options(&flink)?)
        .args(["-Xmx3g", "-cp"])
        .arg(classpath(&flink, jars))
        .arg(&runner)
        .arg(&program)
        .arg(parallelism.to_string())
        .args(settings)
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let start = Instant::now();
    let mut process = Process::start("Flink", &mut command)?;
    let (status, cpu) = process.wait_with_cpu()?;
    if !status.success() {
        bail!("Flink ended with {status}:\n{}", cache::tail(&fs::read_to_string(&log)?));
    }
    Ok(FlinkRun { cpu, wall: start.elapsed() })
}

/// Runs a Java program of one file among Flink's classes, in the folder where its files are.
///
/// # Errors
/// When Flink cannot be installed, or the program fails.
pub fn run_java(name: &str, source: &str, folder: &Path, arguments: &[&str]) -> Result<()> {
    let home = cache::python("python-flink-2.3.0", &["apache-flink==2.3.0"])?;
    let flink = find_flink(&home)?;
    fs::write(folder.join(name), source)?;
    cache::run(
        Command::new("java")
            .args(java_options(&flink)?)
            .args(["-Dfile.encoding=UTF-8", "-Xmx1500m", "-cp"])
            .arg(classpath(&flink, &[]))
            .arg(name)
            .args(arguments)
            .current_dir(folder),
    )?;
    Ok(())
}

fn classpath(flink: &Path, jars: &[PathBuf]) -> String {
    let jars = jars.iter().map(|jar| format!(":{}", jar.display())).collect::<String>();
    format!("{}/*{jars}", flink.join("lib").display())
}

fn find_flink(home: &Path) -> Result<PathBuf> {
    let python = fs::read_dir(home.join("lib"))?
        .flatten()
        .map(|entry| entry.path().join("site-packages/pyflink"))
        .find(|path| path.join("lib").is_dir());
    python.with_context(|| format!("no pyflink below {}", home.display()))
}

/// Flink opens the JDK's modules by options that it keeps in its configuration.
fn java_options(flink: &Path) -> Result<Vec<String>> {
    let path = flink.join("conf/config.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let options: Vec<_> = text
        .split_whitespace()
        .filter(|word| word.starts_with("--add-opens") || word.starts_with("--add-exports"))
        .map(str::to_owned)
        .collect();
    ensure!(!options.is_empty(), "no --add-opens in {}", path.display());
    Ok(options)
}
