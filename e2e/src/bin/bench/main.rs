//! Figures, each measured and printed by one command, the peer beside it where there is one:
//!
//! ```text
//! cargo run --release -p weir-e2e --bin bench -- json
//! ```
//!
//! Rates are rows per CPU-second, user and system, of all threads and processes, taken as the
//! slope between two sizes of input, so that a program's start does not count.

mod checkpoints;
mod json;
mod kafka;
mod live;
mod nexmark;
mod operators;
mod page;
mod rates;
mod recovery;
mod rescale;
mod state;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Weir, beside Flink where both can do the same")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// JSON bids to a 10 s tumbling count by key, beside Flink.
    Json(json::Arguments),
    /// The same from Kafka, beside Flink.
    Kafka(kafka::Arguments),
    /// The queries of Nexmark from JSON, beside Flink.
    Nexmark(nexmark::Arguments),
    /// An aggregate, a join, Top-N, OVER and MATCH_RECOGNIZE, beside Flink.
    Operators(operators::Arguments),
    /// What a checkpoint every second, and every ten, costs.
    CheckpointOverhead(checkpoints::Arguments),
    /// From the kill of a worker's process to the first new output.
    Recovery(recovery::Arguments),
    /// How long output pauses when the manifest is saved with another parallelism.
    Rescale(rescale::Arguments),
    /// What a job's page costs the job, with nobody at it and with a hundred viewers.
    Page(page::Arguments),
    /// A keyed job with far more state than memory: its pauses beside those of a small one.
    State(state::pauses::Arguments),
    /// Rows by keys of which memory holds a part, beside Flink with RocksDB.
    StateRates(state::rates::Arguments),
    /// Keys that never come again, with a time to live: memory over a hundred million of them.
    StateExpiry(state::expiry::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().what {
        What::Json(arguments) => json::run(&arguments),
        What::Kafka(arguments) => kafka::run(&arguments),
        What::Nexmark(arguments) => nexmark::run(&arguments),
        What::Operators(arguments) => operators::run(&arguments),
        What::CheckpointOverhead(arguments) => checkpoints::run(&arguments),
        What::Recovery(arguments) => recovery::run(&arguments),
        What::Rescale(arguments) => rescale::run(&arguments),
        What::Page(arguments) => page::run(&arguments),
        What::State(arguments) => state::pauses::run(&arguments),
        What::StateRates(arguments) => state::rates::run(&arguments),
        What::StateExpiry(arguments) => state::expiry::run(&arguments),
    }
}

/// The options of a table that reads files of a folder.
fn files(folder: &std::path::Path) -> String {
    format!("'connector' = 'filesystem', 'path' = '{}', 'format' = 'json'", folder.display())
}

/// The SQL of the JSON benchmarks: two of seven fields, ten thousand keys, windows of 10 s.
fn bids_count(source: &str) -> String {
    format!(
        "CREATE TABLE bids (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
  `dateTime` TIMESTAMP(3), extra STRING,
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '1' SECOND
) WITH ({source});
CREATE TABLE counts (window_start TIMESTAMP(3), auction BIGINT, bids BIGINT)
WITH ('connector' = 'blackhole');
INSERT INTO counts
  SELECT window_start, auction, COUNT(*)
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, auction;
"
    )
}

/// Bids in the cache, in as many files as there are subtasks. Returns their folder.
fn bids(rows: u64, files: u32) -> Result<std::path::PathBuf> {
    weir_e2e::cache::folder(&format!("derived-v1/bids-{rows}-{files}"), |folder| {
        let bytes = weir_e2e::data::write_bids(folder, rows, files as usize)?;
        println!("wrote {rows} bids, {} MB, {} B each", bytes >> 20, bytes / rows.max(1));
        Ok(())
    })
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(at.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Prints the spread of some seconds.
fn print_spread(what: &str, mut seconds: Vec<f64>) {
    seconds.sort_by(f64::total_cmp);
    println!(
        "{what}: p50 {:.3} s   p90 {:.3} s   p99 {:.3} s   worst {:.3} s   of {} tries",
        quantile(&seconds, 0.5),
        quantile(&seconds, 0.9),
        quantile(&seconds, 0.99),
        seconds.last().copied().unwrap_or(f64::NAN),
        seconds.len()
    );
}
