//! The earliest event time of files, from Parquet footers, before anything else of them is read.
//!
//! A bound only makes windows close sooner: whatever stands in the way of one (a store that is
//! slow, a file that is damaged) leaves it unknown, and is told by whoever reads the file.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use parquet::file::metadata::ParquetMetaData;
use tokio::task::JoinSet;

use super::format::ReadFormat;
use super::parquet::read_footer;
use super::position::FileInfo;
use super::store::RemoteStore;
use crate::formats::Format;
use crate::formats::parquet::ParquetPlan;

/// Footers that are read at the same time.
const AT_ONCE: usize = 8;
/// Files of one listing whose footers are read. Of more, none is: bounds of some would not help
/// while others are unknown, and a bucket answers about a hundred footers a second.
const MOST_FILES: usize = 4096;
/// Reading footers ends after so long, because the job starts only then.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a file's event times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Earliest {
    /// None of its rows is before this (milliseconds).
    From(i64),
    /// There is nothing to read in it.
    NoRows,
    Unknown,
}

/// Finds the earliest event times of Parquet files.
#[derive(Clone)]
pub(crate) struct Bounds {
    physical: SchemaRef,
    /// The event time, in `physical`.
    column: usize,
    store: Option<Arc<dyn RemoteStore>>,
}

impl Bounds {
    /// `None` for formats without statistics.
    pub(crate) fn new(
        format: &ReadFormat,
        column: usize,
        store: Option<Arc<dyn RemoteStore>>,
    ) -> Option<Self> {
        let physical = format.physical.clone();
        matches!(format.format, Format::Parquet(_)).then_some(Self { physical, column, store })
    }

    /// One answer for each file: all that can be known, or all unknown where that takes too long.
    pub(crate) async fn find(&self, files: &[FileInfo]) -> Vec<Earliest> {
        let unknown = vec![Earliest::Unknown; files.len()];
        if files.len() > MOST_FILES {
            let (files, most) = (files.len(), MOST_FILES);
            tracing::info!(
                files,
                most,
                "too many files: their event times are not looked up before they are read"
            );
            return unknown;
        }
        match tokio::time::timeout(PATIENCE, self.read(files)).await {
            Ok(found) => found,
            Err(_) => {
                tracing::warn!(
                    files = files.len(),
                    "footers answer too slowly: event times are not known before files are read"
                );
                unknown
            }
        }
    }

    async fn read(&self, files: &[FileInfo]) -> Vec<Earliest> {
        let mut found = vec![Earliest::Unknown; files.len()];
        let mut waiting = files.iter().cloned().enumerate();
        // Ends what it has begun when it is dropped.
        let mut reading = JoinSet::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some((index, file)) = waiting.next()
            {
                let bounds = self.clone();
                reading.spawn(async move { (index, bounds.read_one(&file).await) });
            }
            match reading.join_next().await {
                Some(Ok((index, earliest))) => {
                    if let Some(place) = found.get_mut(index) {
                        *place = earliest;
                    }
                }
                Some(Err(_)) => {}
                None => return found,
            }
        }
    }

    async fn read_one(&self, file: &FileInfo) -> Earliest {
        match read_footer(file, self.store.as_ref()).await {
            Ok(footer) => earliest(footer, &self.physical, self.column),
            Err(error) => {
                tracing::debug!(%error, "a footer cannot be read yet");
                Earliest::Unknown
            }
        }
    }
}

/// The lowest event time of all row groups; unknown when one of them does not tell.
fn earliest(footer: ParquetMetaData, physical: &SchemaRef, column: usize) -> Earliest {
    let Ok(plan) = ParquetPlan::new(Arc::new(footer), physical, &[column]) else {
        return Earliest::Unknown;
    };
    let groups = plan.row_groups().iter().enumerate().filter(|(_, group)| group.rows > 0);
    let mut lowest = Earliest::NoRows;
    for (group, _) in groups {
        lowest = match (lowest, plan.lower_bound_ms(group, 0)) {
            (_, None) => return Earliest::Unknown,
            (Earliest::From(before), Some(time)) => Earliest::From(before.min(time)),
            (_, Some(time)) => Earliest::From(time),
        };
    }
    lowest
}
