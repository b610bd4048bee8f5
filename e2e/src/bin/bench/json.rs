//! JSON files to a keyed count in windows, Weir and Flink on the same files in one run.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_e2e::job::{Job, Manifest, Summary};
use weir_e2e::oracle::flink;

use super::rates::{Sizes, compare};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sizes: Sizes,
    /// Subtasks, and files of the input.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let parallelism = arguments.parallelism;
    compare(
        &arguments.sizes,
        |rows| weir_cpu(rows, parallelism),
        |rows| flink_cpu(rows, parallelism),
    )
}

fn weir_cpu(rows: u64, parallelism: u32) -> Result<Duration> {
    let program = super::bids_count(&super::files(&super::bids(rows, parallelism)?));
    let (summary, cpu) = run_weir("json-bids", &program, parallelism)?;
    ensure!(summary.rows_in == rows, "{summary:?} of {rows} rows");
    Ok(cpu)
}

/// Runs a program to its end, in which no row may be late or malformed. Gives its CPU time.
pub(crate) fn run_weir(name: &str, program: &str, parallelism: u32) -> Result<(Summary, Duration)> {
    let interval = Duration::from_secs(10);
    let manifest = Manifest { parallelism, interval, ..Manifest::new(name, program) };
    let (summary, cpu) = Job::new(manifest)?.start(0)?.finish_with_cpu()?;
    ensure!((summary.late, summary.malformed) == (0, 0), "{summary:?}");
    Ok((summary, cpu))
}

fn flink_cpu(rows: u64, parallelism: u32) -> Result<Duration> {
    let program = super::bids_count(&super::files(&super::bids(rows, parallelism)?));
    Ok(flink::run(&program, parallelism)?.cpu)
}
