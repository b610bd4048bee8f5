//! The queries of Nexmark over JSON files, Weir and Flink on the same files in one run.
//!
//! Their texts are the scripts of the suite in `worker/tests/flink/nexmark`, which holds their
//! rows against Flink's; here they read more and print nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_e2e::oracle::flink;
use weir_e2e::{cache, data};

use super::rates::{Engine, Rates, Sizes, Table, rates};

/// Its rows depend on the clock, so that the suite cannot hold it.
const BY_THE_CLOCK: &str = include_str!("nexmark_q12.sql");

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Events of the smaller input; must be more than 64 MB.
    #[arg(long, default_value_t = 500_000)]
    small: u64,
    /// Events of the larger input.
    #[arg(long, default_value_t = 2_000_000)]
    large: u64,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Measure one of the two only.
    #[arg(long, value_enum)]
    only: Option<Engine>,
    /// Subtasks, and files of the input.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
    /// Which queries, `q0` to `q23`; all otherwise.
    queries: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { small, large, runs, only, parallelism, .. } = *arguments;
    let sizes = Sizes { small, large, runs, only };
    let mut table = Table::begin("query");
    for number in 0..=23 {
        let query = format!("q{number}");
        if !arguments.queries.is_empty() && !arguments.queries.contains(&query) {
            continue;
        }
        let measured = measure(&query, &sizes, parallelism).with_context(|| query.clone())?;
        table.add(&query, &measured);
    }
    table.end();
    Ok(())
}

fn measure(query: &str, sizes: &Sizes, parallelism: u32) -> Result<Rates> {
    let script = if query == "q12" { BY_THE_CLOCK.to_owned() } else { text(query)? };
    // Flink cannot ask a file, and has no frame of so many rows over rows that change.
    let only = if ["q6", "q13"].contains(&query) { Some(Engine::Weir) } else { sizes.only };
    rates(
        &Sizes { only, ..*sizes },
        |rows| weir_cpu(query, &script, rows, parallelism),
        |rows| flink_cpu(&script, rows, parallelism),
    )
}

fn text(query: &str) -> Result<String> {
    let path = suite().join("nexmark").join(format!("{query}.sql"));
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/flink")
}

/// The script over these events, with its rows thrown away or written below a folder.
fn program(script: &str, events: &Path, out: &Path) -> Result<String> {
    let reads = "'path' = 'in/nexmark.json'";
    ensure!(script.contains(reads), "the script does not read {reads}");
    Ok(script
        .replace(reads, &format!("'path' = '{}'", events.display()))
        .replace("'in/", &format!("'{}/in/", suite().display()))
        .replace("'out/", &format!("'{}/", out.display()))
        .replace("'connector' = 'print'", "'connector' = 'blackhole'"))
}

/// Events in the cache, in as many files as there are subtasks. Returns their folder.
pub(crate) fn events(rows: u64, files: u32) -> Result<PathBuf> {
    cache::folder(&format!("derived-v1/nexmark-{rows}-{files}"), |folder| {
        data::write_events(folder, rows, files as usize).map(|_| ())
    })
}

fn weir_cpu(query: &str, script: &str, rows: u64, parallelism: u32) -> Result<Duration> {
    let out = tempfile::tempdir()?;
    let program = program(script, &events(rows, parallelism)?, out.path())?;
    let (summary, cpu) = super::json::run_weir(&format!("nexmark-{query}"), &program, parallelism)?;
    ensure!(summary.rows_in >= rows, "{summary:?} of {rows} rows");
    Ok(cpu)
}

fn flink_cpu(script: &str, rows: u64, parallelism: u32) -> Result<Duration> {
    let out = tempfile::tempdir()?;
    let program = program(script, &events(rows, parallelism)?, out.path())?;
    Ok(flink::run(&program, parallelism)?.cpu)
}
