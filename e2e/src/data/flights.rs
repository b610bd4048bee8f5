//! The flights: 3,000,000 real ones, fetched once from the npm package `vega-datasets`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::cache;

const PACKAGE: &str = "vega-datasets@3.2.1";
const MEMBER: &str = "package/data/flights-3m.parquet";

/// An airport's IATA code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Airport([u8; 3]);

impl Airport {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    fn from_text(text: &str) -> Result<Self> {
        match text.as_bytes().try_into() {
            Ok(code) if text.is_ascii() => Ok(Self(code)),
            _ => bail!("'{text}' is no IATA code"),
        }
    }
}

impl std::fmt::Debug for Airport {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.as_str())
    }
}

/// One flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flight {
    /// Scheduled departure in milliseconds since 1970, local time taken as UTC.
    pub date_ms: i64,
    /// Minutes behind schedule.
    pub delay: i64,
    /// Miles.
    pub distance: i64,
    /// From where.
    pub origin: Airport,
    /// To where.
    pub destination: Airport,
}

/// All 3,000,000 flights, sorted by date; read once per process.
///
/// # Errors
/// When they cannot be fetched or are not what they were.
pub fn flights() -> Result<&'static [Flight]> {
    static FLIGHTS: OnceLock<Vec<Flight>> = OnceLock::new();
    if let Some(flights) = FLIGHTS.get() {
        return Ok(flights);
    }
    let flights = read(&source_file()?)?;
    Ok(FLIGHTS.get_or_init(|| flights))
}

/// The source file in the cache, fetched with npm if it is not there.
///
/// # Errors
/// When npm or tar fail.
fn source_file() -> Result<PathBuf> {
    let folder = cache::folder("vega-datasets-3.2.1", |folder| {
        cache::run(Command::new("npm").args(["pack", "--silent", PACKAGE]).current_dir(folder))?;
        let archive = fs::read_dir(folder)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ext| ext == "tgz"))
            .context("npm pack wrote no archive")?;
        cache::run(Command::new("tar").arg("xzf").arg(&archive).arg(MEMBER).current_dir(folder))?;
        fs::remove_file(archive)?;
        Ok(())
    })?;
    Ok(folder.join(MEMBER))
}

fn read(path: &std::path::Path) -> Result<Vec<Flight>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(65_536).build()?;
    let mut flights = Vec::with_capacity(3_000_000);
    for batch in reader {
        let batch = batch?;
        let column = |name| batch.column_by_name(name).with_context(|| format!("no column {name}"));
        let date = column("date")?.as_primitive::<TimestampMicrosecondType>();
        let delay = column("delay")?.as_primitive::<Int64Type>();
        let distance = column("distance")?.as_primitive::<Int64Type>();
        let text = |name| -> Result<_> {
            Ok(arrow::compute::cast(column(name)?, &arrow::datatypes::DataType::Utf8)?)
        };
        let (origin, destination) = (text("origin")?, text("destination")?);
        let (origin, destination) = (origin.as_string::<i32>(), destination.as_string::<i32>());
        ensure!(batch.columns().iter().all(|c| c.null_count() == 0), "nulls in {}", path.display());
        for row in 0..batch.num_rows() {
            flights.push(Flight {
                date_ms: date.value(row) / 1000,
                delay: delay.value(row),
                distance: distance.value(row),
                origin: Airport::from_text(origin.value(row))?,
                destination: Airport::from_text(destination.value(row))?,
            });
        }
    }
    ensure!(flights.len() == 3_000_000, "{} flights instead of 3,000,000", flights.len());
    ensure!(flights.is_sorted_by_key(|flight| flight.date_ms), "the flights are not sorted");
    Ok(flights)
}
