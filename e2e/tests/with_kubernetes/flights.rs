//! The shuffled flights as input, in the store or in Kafka, and the rows that must come out.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;
use weir_e2e::data::{Format, Layout, dataset};
use weir_e2e::oracle::expected::{Windows, aggregate};
use weir_e2e::process::Process;
use weir_e2e::rows::Rows;
use weir_e2e::sql;
use weir_e2e::testbed::cluster::Stage;
use weir_e2e::testbed::kafka::Kafka;
use weir_e2e::testbed::s3::S3;

const HOUR_MS: i64 = 3_600_000;
const HOURLY: Windows = Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: HOUR_MS };

/// Partitions of every topic: divided unevenly by 1, 2, 3 and 4.
pub(crate) const PARTITIONS: u32 = 8;

/// The first flights, shuffled, and their hourly counts.
pub(crate) struct Input {
    file: PathBuf,
    expected: Rows,
}

impl Input {
    pub(crate) fn new(rows: usize) -> Result<Self> {
        let data = dataset(Layout::Shuffled, Format::Json, rows)?;
        let expected = aggregate(&data.splits, HOURLY).counts();
        Ok(Self { file: data.folder.join("flights.json"), expected })
    }

    /// Every hourly count, if each flight is counted once.
    pub(crate) fn expected(&self) -> &Rows {
        &self.expected
    }

    pub(crate) fn columns() -> Vec<&'static str> {
        sql::names(sql::HOURLY_COLUMNS)
    }

    /// Puts the flights into the store, for [`Input::files_to_hours`].
    pub(crate) fn upload(&self, stage: &Stage, place: &str) -> Result<()> {
        let folder = stage.s3.bucket_folder().join("in").join(place);
        fs::create_dir_all(&folder)?;
        fs::copy(&self.file, folder.join("flights.json"))?;
        Ok(())
    }

    /// The program from files in the store to hourly counts: it ends.
    pub(crate) fn files_to_hours(&self, place: &str, sink: &str) -> String {
        let input = format!("s3://{}/in/{place}", S3::BUCKET);
        format!("{}{}", sql::flights(&input, Format::Json), hours(sink))
    }

    /// Makes a topic and a process that fills it steadily: first with the flights, then, so that
    /// the last windows close, with one of the year 2100 in every partition.
    pub(crate) fn feed(&self, kafka: &Kafka, topic: &str, rate: u32) -> Result<Feed> {
        kafka.create_topic(topic, PARTITIONS, &["retention.ms=-1"])?;
        let mut lines = NamedTempFile::new()?;
        let flights = fs::read(&self.file)?;
        lines.write_all(&flights)?;
        for _ in 0..2 * PARTITIONS {
            lines.write_all(LAST.as_bytes())?;
        }
        let producer = kafka.produce_steadily(topic, lines.path(), rate)?;
        Ok(Feed { producer, _lines: lines })
    }
}

/// Later than every window, and in a window that never closes.
const LAST: &str = "{\"date\":\"2100-01-01 00:00:00\",\"delay\":0,\"distance\":0,\"origin\":\"XXX\",\"destination\":\"XXX\"}\n";

/// Files are closed and shown with every checkpoint, so that tests see what is committed.
pub(crate) const ROLLING: &str = "'sink.rolling-policy.rollover-interval' = '1 ms', \
     'sink.rolling-policy.check-interval' = '1 h'";

/// A topic being filled.
pub(crate) struct Feed {
    producer: Process,
    _lines: NamedTempFile,
}

impl Feed {
    /// Writes the rest as fast as can be, and waits until everything has been written.
    pub(crate) fn finish(mut self) -> Result<()> {
        let mut input = self.producer.take_stdin().context("the producer's input")?;
        // An error means that it has ended already.
        let _ = input.write_all(b"\n");
        let status = self.producer.wait(std::time::Duration::from_secs(600))?;
        anyhow::ensure!(status.success(), "the producer ended with {status}");
        Ok(())
    }

    /// Whether it is still under way; a producer that failed is an error.
    pub(crate) fn is_under_way(&mut self) -> Result<bool> {
        match self.producer.poll()? {
            None => Ok(true),
            Some(status) if status.success() => Ok(false),
            Some(status) => Err(anyhow::anyhow!("it ended with {status}")).context("the producer"),
        }
    }
}

/// The program from a topic to hourly counts: it never ends by itself.
pub(crate) fn topic_to_hours(kafka: &Kafka, topic: &str, sink: &str) -> String {
    format!("{}{}", flights_of(kafka, topic), hours(sink))
}

/// The same rows from state tables: see [`sql::HOURLY_BY_NUMBERS`].
pub(crate) fn topic_to_hours_by_numbers(kafka: &Kafka, topic: &str, sink: &str) -> String {
    format!("{}{}{}", flights_of(kafka, topic), hourly(sink), sql::HOURLY_BY_NUMBERS)
}

fn flights_of(kafka: &Kafka, topic: &str) -> String {
    let servers = kafka.servers();
    format!(
        "CREATE TABLE flights (
  `date` TIMESTAMP(3), delay BIGINT, distance BIGINT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{servers}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
"
    )
}

/// From a table `flights` to its hourly counts in a folder.
pub(crate) fn hours(sink: &str) -> String {
    format!("{}{}", hourly(sink), sql::HOURLY)
}

fn hourly(sink: &str) -> String {
    format!(
        "CREATE TABLE hourly ({})
WITH ('connector' = 'filesystem', 'path' = '{sink}', 'format' = 'json', {ROLLING});
",
        sql::HOURLY_COLUMNS
    )
}
