//! JSON records from Kafka to a keyed count in windows, Weir and Flink on the same topic of a
//! real broker in one run. The broker's own CPU time counts for neither.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_e2e::oracle::flink;
use weir_e2e::testbed::kafka::Kafka;

use super::rates::{Sizes, compare};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sizes: Sizes,
    /// Partitions, and subtasks.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let broker = Kafka::start()?;
    let parallelism = arguments.parallelism;
    for rows in [arguments.sizes.small, arguments.sizes.large] {
        // One file: dealt out in turn, every partition is in the order of time.
        let lines = super::bids(rows, 1)?.join("bids-0.json");
        broker.create_topic(&topic(rows), parallelism, &["retention.ms=-1"])?;
        broker.produce(&topic(rows), &lines)?;
    }
    let weir = |rows| weir_cpu(&program(&broker, rows), rows, parallelism);
    let connector = flink::kafka_connector()?;
    let flink = |rows| {
        let jars = std::slice::from_ref(&connector);
        Ok(flink::run_with(&program(&broker, rows), parallelism, jars, &[])?.cpu)
    };
    compare(&arguments.sizes, weir, flink)
}

fn topic(rows: u64) -> String {
    format!("bids-{rows}")
}

fn program(broker: &Kafka, rows: u64) -> String {
    super::bids_count(&format!(
        "'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
  'properties.group.id' = 'bench', 'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset', 'format' = 'json'",
        topic(rows),
        broker.servers()
    ))
}

fn weir_cpu(program: &str, rows: u64, parallelism: u32) -> Result<Duration> {
    let (summary, cpu) = super::json::run_weir("kafka-bids", program, parallelism)?;
    ensure!(summary.rows_in == rows, "{summary:?} of {rows} rows");
    Ok(cpu)
}
