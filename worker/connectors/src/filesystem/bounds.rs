//! The earliest event time of files, from Parquet footers or their first rows, before anything
//! else of them is read.
//!
//! A bound only makes windows close sooner: whatever stands in the way of one (a store that is
//! slow, a file that is damaged) leaves it unknown, and is told by whoever reads the file.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use parquet::file::metadata::ParquetMetaData;
use tokio::task::JoinSet;
use weir_engine::EngineError;

use super::ORDERED;
use super::first::first_row;
use super::parquet::read_footer;
use super::position::FileInfo;
use super::reader::ReadPlan;
use crate::formats::parquet::ParquetPlan;
use crate::table::FirstRow;

/// Files that are looked into at the same time.
const AT_ONCE: usize = 8;
/// Files of one listing that are looked into, because a bucket answers about a hundred requests
/// a second. Of more, none is (bounds of some would not help while others are unknown), or evenly
/// spaced ones where the order of the files is that of time.
const MOST_FILES: usize = 4096;
/// Looking into files ends after so long, because the job starts only then.
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

/// Finds the earliest event times of files.
#[derive(Clone)]
pub(crate) struct Bounds {
    plan: Arc<ReadPlan>,
    /// The event time in the format's physical columns, where footers tell its lowest value.
    statistics: Option<usize>,
    /// See [`ORDERED`].
    ordered: Option<FirstRow>,
}

impl Bounds {
    /// `None` where nothing can be known before files are read.
    pub(crate) fn new(
        plan: &Arc<ReadPlan>,
        event_time: Option<usize>,
        ordered: Option<FirstRow>,
    ) -> Option<Self> {
        let statistics = event_time.filter(|_| plan.format.is_parquet());
        (statistics.is_some() || ordered.is_some()).then(|| Self {
            plan: plan.clone(),
            statistics,
            ordered,
        })
    }

    /// Whether files are read in the order of their paths, which is that of time.
    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered.is_some()
    }

    /// When windows over the files close, for people.
    pub(crate) fn describe(bounds: Option<&Self>) -> String {
        match bounds {
            Some(bounds) if bounds.is_ordered() => {
                "while files are read, in the order of their paths, which is declared to be that of time"
                    .to_owned()
            }
            Some(_) => "while files are read, from the earliest on where statistics tell".to_owned(),
            None => format!("when every file is read; '{ORDERED}' = 'true' lets them close before"),
        }
    }

    /// One answer for each file: what can be known in time.
    pub(crate) async fn find(&self, files: &[FileInfo]) -> Vec<Earliest> {
        let mut found = vec![Earliest::Unknown; files.len()];
        if files.len() > MOST_FILES && !self.is_ordered() {
            let (files, most) = (files.len(), MOST_FILES);
            tracing::info!(
                files,
                most,
                "too many files: their event times are not looked up before they are read"
            );
            return found;
        }
        let step = files.len().div_ceil(MOST_FILES).max(1);
        if tokio::time::timeout(PATIENCE, self.read(files, step, &mut found)).await.is_err() {
            tracing::warn!(
                files = files.len(),
                "files answer too slowly: the event times of some are not known before they are read"
            );
        }
        if self.is_ordered() {
            carry_on(&mut found);
        }
        found
    }

    async fn read(&self, files: &[FileInfo], step: usize, found: &mut [Earliest]) {
        let mut waiting = files.iter().cloned().enumerate().step_by(step);
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
                None => return,
            }
        }
    }

    async fn read_one(&self, file: &FileInfo) -> Earliest {
        self.try_read(file).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "a file's earliest event time cannot be read yet");
            Earliest::Unknown
        })
    }

    async fn try_read(&self, file: &FileInfo) -> Result<Earliest, EngineError> {
        if let Some(column) = self.statistics {
            let footer = read_footer(file, self.plan.store.as_ref()).await?;
            let found = earliest(footer, &self.plan.format.physical, column);
            if found != Earliest::Unknown {
                return Ok(found);
            }
        }
        let Some(ordered) = &self.ordered else { return Ok(Earliest::Unknown) };
        let row = first_row(&self.plan, file).await?;
        Ok(row.and_then(|row| (ordered.0)(&row)).map_or(Earliest::Unknown, Earliest::From))
    }
}

/// Files of which nothing is known begin no earlier than the last one before them of which
/// something is: that is what the user declares.
fn carry_on(found: &mut [Earliest]) {
    let mut last = Earliest::Unknown;
    for earliest in found {
        match earliest {
            Earliest::From(_) => last = *earliest,
            Earliest::Unknown => *earliest = last,
            Earliest::NoRows => {}
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
