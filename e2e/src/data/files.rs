//! Flights as files: JSON lines, CSV, Parquet.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Flight;
use crate::rows::timestamp;

/// A format of files; its text is both the option's value and the files' ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Comma-separated, no header.
    Csv,
    /// Parquet, row groups of 100,000.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Parquet];
}

impl fmt::Display for Format {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        })
    }
}

/// Writes one file.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, format: Format, rows: &[Flight]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    match format {
        Format::Json | Format::Csv => {
            let mut to = BufWriter::with_capacity(1 << 20, file);
            let mut stamp = Stamp::default();
            for row in rows {
                write_row(&mut to, format, row, stamp.text(row.date_ms))?;
            }
            to.flush()?;
        }
        Format::Parquet => write_parquet(file, rows)?,
    }
    Ok(())
}

/// Writes a file so that whoever watches its folder sees it only when it is complete.
///
/// # Errors
/// Those of the file system.
pub fn write_part(folder: &Path, name: &str, format: Format, rows: &[Flight]) -> Result<()> {
    let hidden = folder.join(format!(".{name}.partial"));
    write(&hidden, format, rows)?;
    std::fs::rename(&hidden, folder.join(name)).context("show a finished file")
}

fn write_row(to: &mut impl Write, format: Format, row: &Flight, date: &str) -> std::io::Result<()> {
    let Flight { delay, distance, origin, destination, .. } = row;
    match format {
        Format::Json => writeln!(
            to,
            r#"{{"date":"{date}","delay":{delay},"distance":{distance},"origin":"{}","destination":"{}"}}"#,
            origin.as_str(),
            destination.as_str()
        ),
        Format::Csv | Format::Parquet => {
            writeln!(to, "{date},{delay},{distance},{},{}", origin.as_str(), destination.as_str())
        }
    }
}

/// The text of the last timestamp: neighbours often share it.
#[derive(Default)]
struct Stamp {
    ms: Option<i64>,
    text: String,
}

impl Stamp {
    fn text(&mut self, ms: i64) -> &str {
        if self.ms != Some(ms) {
            self.ms = Some(ms);
            self.text = timestamp(ms);
        }
        &self.text
    }
}

fn write_parquet(file: File, rows: &[Flight]) -> Result<()> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("date", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("delay", DataType::Int64, true),
        Field::new("distance", DataType::Int64, true),
        Field::new("origin", DataType::Utf8, true),
        Field::new("destination", DataType::Utf8, true),
    ]));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(100_000))
        .build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
    for rows in rows.chunks(100_000) {
        let int = |get: fn(&Flight) -> i64| rows.iter().map(get).collect::<Int64Array>();
        let date: TimestampMicrosecondArray =
            rows.iter().map(|row| row.date_ms * 1000).collect::<Vec<_>>().into();
        let origin = StringArray::from_iter_values(rows.iter().map(|row| row.origin.as_str()));
        let destination =
            StringArray::from_iter_values(rows.iter().map(|row| row.destination.as_str()));
        writer.write(&RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(date),
                Arc::new(int(|row| row.delay)),
                Arc::new(int(|row| row.distance)),
                Arc::new(origin),
                Arc::new(destination),
            ],
        )?)?;
    }
    writer.close()?;
    Ok(())
}
