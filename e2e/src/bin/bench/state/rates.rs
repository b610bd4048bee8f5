//! What a row costs whose key may be out of memory, Weir and Flink with RocksDB in one run.

use std::time::Duration;

use anyhow::Result;
use weir_e2e::job::{Job, Manifest};
use weir_e2e::oracle::flink;

use super::{KEY, each_key, key_options};
use crate::rates::{Engine, Sizes, compare};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Keys in state, about 100 bytes each.
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
    /// Memory for state, in MiB: Weir's pool, Flink's managed memory.
    #[arg(long, default_value_t = 256)]
    memory: u32,
    /// Rows beside the first of each key; the smaller number must outlast those.
    #[arg(long, default_value_t = 10_000_000)]
    small: u64,
    /// The larger number of rows.
    #[arg(long, default_value_t = 20_000_000)]
    large: u64,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Measure one of the two only.
    #[arg(long, value_enum)]
    only: Option<Engine>,
    /// Subtasks.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { keys, memory, small, large, runs, only, parallelism } = *arguments;
    compare(
        &Sizes { small, large, runs, only },
        |rows| weir_cpu(&program(keys, rows), memory, parallelism),
        |rows| flink_cpu(&program(keys, rows), memory, parallelism),
    )
}

/// Every key once, and beside it `rows` rows of which nine of ten have one of a tenth of them.
fn program(keys: u64, rows: u64) -> String {
    format!(
        "CREATE TABLE first_of_each (k BIGINT, a BIGINT, b BIGINT, c DOUBLE) WITH (
  {each_key}
);
CREATE TABLE more ({KEY}, a BIGINT, b BIGINT, c DOUBLE) WITH (
  'connector' = 'datagen', 'number-of-rows' = '{rows}', 'rows-per-second' = '1000000000',
  {options}
);
CREATE TABLE sums (
  k BIGINT, n BIGINT, a BIGINT, least BIGINT, most BIGINT, b BIGINT, c DOUBLE,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');
INSERT INTO sums
  SELECT k, COUNT(*), SUM(a), MIN(b), MAX(b), SUM(b), MAX(c) FROM (
    SELECT k, a, b, c FROM first_of_each UNION ALL SELECT k, a, b, c FROM more
  ) GROUP BY k;
",
        each_key = each_key(keys),
        options = key_options(keys),
    )
}

fn weir_cpu(program: &str, memory: u32, parallelism: u32) -> Result<Duration> {
    let interval = Duration::from_secs(10);
    let manifest = Manifest { parallelism, interval, ..Manifest::new("state-rates", program) };
    let memory = format!("{memory}MiB");
    let job = Job::new(manifest)?.with_arguments(&["--memory", &memory, "--no-page"]);
    Ok(job.start(0)?.finish_with_cpu()?.1)
}

fn flink_cpu(program: &str, memory: u32, parallelism: u32) -> Result<Duration> {
    let settings = [
        "state.backend.type=rocksdb".to_owned(),
        "execution.checkpointing.incremental=true".to_owned(),
        format!("taskmanager.memory.managed.size={memory}m"),
    ];
    Ok(flink::run_with(program, parallelism, &[], &settings)?.cpu)
}
