//! JSON files to a keyed count in windows, Weir and Flink on the same files in one run.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_e2e::job::{Job, Manifest};
use weir_e2e::oracle::flink;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the smaller input; must be more than 64 MB.
    #[arg(long, default_value_t = 1_000_000)]
    small: u64,
    /// Rows of the larger input.
    #[arg(long, default_value_t = 5_000_000)]
    large: u64,
    /// Subtasks, and files of the input.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Leave Flink out.
    #[arg(long)]
    without_flink: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments {
        small,
        large,
        parallelism,
        runs,
        without_flink,
    } = *arguments;
    ensure!(small < large, "the smaller input must have fewer rows");
    let weir = slope(small, large, |rows| weir_cpu(rows, parallelism), runs)?;
    println!("{:10} {:>12} {:>14}", "", "rows/CPU-s", "ns of CPU/row");
    print("Weir", weir);
    if !without_flink {
        let flink = slope(
            small,
            large,
            |rows| flink_cpu(rows, parallelism),
            runs.min(2),
        )?;
        print("Flink 2.3", flink);
        println!("ratio      {:>12.1}", weir / flink);
    }
    Ok(())
}

fn print(name: &str, rate: f64) {
    println!("{name:10} {:>9.2} M {:>14.0}", rate / 1e6, 1e9 / rate);
}

/// Rows per CPU-second between two sizes; the least CPU time of `runs` counts for each.
fn slope(small: u64, large: u64, cpu: impl Fn(u64) -> Result<Duration>, runs: u32) -> Result<f64> {
    let least = |rows| -> Result<Duration> {
        let mut least = Duration::MAX;
        for _ in 0..runs {
            least = least.min(cpu(rows)?);
        }
        Ok(least)
    };
    let (few, many) = (least(small)?, least(large)?);
    ensure!(
        many > few,
        "{large} rows took {many:?}, {small} rows {few:?}: take larger inputs"
    );
    Ok((large - small) as f64 / (many - few).as_secs_f64())
}

fn weir_cpu(rows: u64, parallelism: u32) -> Result<Duration> {
    let program = super::bids_count(&super::bids(rows, parallelism)?);
    let interval = Duration::from_secs(10);
    let manifest = Manifest {
        parallelism,
        interval,
        ..Manifest::new("json-bids", &program)
    };
    let (summary, cpu) = Job::new(manifest)?.start(0)?.finish_with_cpu()?;
    ensure!(summary.rows_in == rows, "{summary:?} of {rows} rows");
    ensure!((summary.late, summary.malformed) == (0, 0), "{summary:?}");
    Ok(cpu)
}

fn flink_cpu(rows: u64, parallelism: u32) -> Result<Duration> {
    let program = super::bids_count(&super::bids(rows, parallelism)?);
    Ok(flink::run(&program, parallelism)?.cpu)
}
