//! A job whose input, output and state are in a real S3 server behind a proxy.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::data::{Flight, Format, Layout, SplitFile, flights, write};
use crate::job::{Job, Manifest, Summary, read_output};
use crate::oracle::expected::{Windows, aggregate};
use crate::process::{is_alive, wait_for};
use crate::rows::Rows;
use crate::sql;
use crate::testbed::proxy::Proxy;
use crate::testbed::s3::S3;

const HOUR_MS: i64 = 3_600_000;
const HOURLY: Windows = Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: HOUR_MS };
const COLUMNS: &str = "departure TIMESTAMP(3), delay BIGINT, distance BIGINT, route STRING";

/// Everything one run needs. One sink takes every row as it comes, so that there is something to
/// commit at every checkpoint; the other takes the hours, whose state grows until the last file
/// lets them close.
pub struct Stage {
    /// The proxy, through which all of the job's requests go.
    pub proxy: Proxy,
    /// The job.
    pub job: Job,
    /// The files of the input.
    pub files: usize,
    /// The splits, for oracles.
    splits: Vec<SplitFile>,
    s3: S3,
}

impl Stage {
    /// Puts `rows` shuffled flights into `files` files of a new bucket, and a job beside it.
    ///
    /// # Errors
    /// When the server cannot be started.
    pub fn new(rows: usize, files: usize, interval: Duration) -> Result<Self> {
        let s3 = S3::start()?;
        let proxy = Proxy::start(s3.port())?;
        let input = s3.bucket_folder().join("in");
        fs::create_dir(&input)?;
        let all = Layout::Shuffled.arrange(&flights()?[..rows]).swap_remove(0).rows;
        let splits: Vec<_> = all
            .chunks(rows.div_ceil(files))
            .enumerate()
            .map(|(i, rows)| SplitFile { name: format!("part-{i:04}"), rows: rows.to_vec() })
            .collect();
        for split in &splits {
            write(&input.join(format!("{}.json", split.name)), Format::Json, &split.rows)?;
        }
        let manifest = Manifest {
            root: Some(format!("s3://{}/state", S3::BUCKET)),
            interval,
            ..Manifest::new("under-fire", &program())
        };
        let job = Job::new(manifest)?
            .with_environment(S3::client_environment(proxy.port()))
            // Failures are what these runs are about: however many come in a row, go on.
            .with_arguments(&["--retries", "0"]);
        Ok(Self { proxy, job, files: splits.len(), splits, s3 })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.s3.bucket_folder().join("out").join(name)
    }

    /// Fails unless the committed files hold every result once.
    ///
    /// # Errors
    /// The first missing and surplus rows.
    pub fn check(&self) -> Result<()> {
        let rows = read_output(&self.folder("every"), Format::Parquet, &sql::names(COLUMNS))?;
        expected_rows(&self.splits).check("rows", &rows)?;
        let hours =
            read_output(&self.folder("hourly"), Format::Json, &sql::names(sql::HOURLY_COLUMNS))?;
        aggregate(&self.splits, HOURLY).counts().check("hours", &hours)
    }

    /// What a run has to say at its end, whatever happened on the way: every row was read once and
    /// given to the one sink, and every hour to the other.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let rows = expected_rows(&self.splits).len();
        let hours = aggregate(&self.splits, HOURLY);
        let rows_out = rows + hours.counts().len();
        Summary { rows_in: rows, rows_out, late: hours.late, malformed: 0 }
    }

    /// Rows that are visible now, of the sink that takes every row.
    ///
    /// # Errors
    /// When a visible file cannot be read, which no reader may ever see.
    pub fn visible_rows(&self) -> Result<u64> {
        Ok(read_output(&self.folder("every"), Format::Parquet, &["delay"])?.len())
    }

    /// Names in the chain now.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let folder = self.s3.bucket_folder().join("state/default/under-fire/chain");
        let mut names: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
            .collect();
        names.sort();
        names
    }

    /// The parallelism that the newest readable manifest of the chain assigns.
    #[must_use]
    pub fn parallelism(&self) -> Option<u64> {
        let folder = self.s3.bucket_folder().join("state/default/under-fire/chain");
        self.chain().iter().rev().find_map(|name| {
            let bytes = fs::read(folder.join(name)).ok()?;
            let manifest: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            manifest["assignment"]["parallelism"].as_u64()
        })
    }

    /// Waits until none of these processes is left.
    ///
    /// # Errors
    /// When one still runs after `limit`.
    pub fn wait_until_gone(processes: &[u32], limit: Duration) -> Result<()> {
        wait_for("workers without a coordinator to end", limit, || {
            Ok(!processes.iter().any(|id| is_alive(*id)))
        })
    }
}

fn program() -> String {
    let bucket = S3::BUCKET;
    let table = |name: &str, columns: &str, format: Format| {
        format!(
            "CREATE TABLE {name} ({columns})
WITH ('connector' = 'filesystem', 'path' = 's3://{bucket}/out/{name}', 'format' = '{format}',
      'sink.rolling-policy.rollover-interval' = '1 s', 'sink.rolling-policy.check-interval' = '1 s');
"
        )
    };
    format!(
        "{}{}{}EXECUTE STATEMENT SET BEGIN
{}INSERT INTO `every`
  SELECT `date`, delay, distance, CONCAT(origin, '-', destination) FROM flights;
END;
",
        sql::flights(&format!("s3://{bucket}/in"), Format::Json),
        table("hourly", sql::HOURLY_COLUMNS, Format::Json),
        table("`every`", COLUMNS, Format::Parquet).replace("out/`every`", "out/every"),
        sql::HOURLY,
    )
}

fn expected_rows(splits: &[SplitFile]) -> Rows {
    let mut rows = Rows::default();
    for flight in splits.iter().flat_map(|split| &split.rows) {
        let Flight { date_ms, delay, distance, origin, destination } = flight;
        rows.add(&[
            serde_json::json!(crate::rows::timestamp(*date_ms)),
            serde_json::json!(delay),
            serde_json::json!(distance),
            serde_json::json!(format!("{}-{}", origin.as_str(), destination.as_str())),
        ]);
    }
    rows
}
