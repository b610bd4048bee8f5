//! Stored rows as a source: `STATE(…)` of `weir sql`.
//!
//! Splits are ranges of key groups. A version never changes, so that a place in one is good for as
//! long as the version is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use weir_connectors::table::{SourceParts, Table};
use weir_engine::EngineError;
use weir_engine::operator::{Context, Waker};
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_protocol::KeyGroupRange;

use super::pick::Picked;
use super::rows::{At, LiveRows};

/// Splits at most.
const SPLITS: u32 = 32;
/// Batches that are read ahead.
const AHEAD: usize = 2;

/// The parts of a table that the planner made of what was picked; `projection` are the columns that
/// anybody wants.
///
/// # Errors
/// When the table has other columns, which is a bug.
pub(crate) fn parts(
    picked: Arc<Picked>,
    table: &Table,
    projection: &[usize],
) -> Result<SourceParts, arrow::error::ArrowError> {
    let schema = Arc::new(table.schema.project(projection)?);
    let asked = &picked.asked;
    let details = BTreeMap::from([
        ("state".to_owned(), asked.place.clone()),
        ("version".to_owned(), asked.version.unwrap_or_default().to_string()),
        ("operator".to_owned(), format!("{} ({})", picked.operator, asked.operator)),
        ("table".to_owned(), picked.spec.name.clone()),
    ]);
    let source = StateSource(Arc::new(Plan { picked, columns: projection.to_vec(), schema }));
    Ok(SourceParts { source: Arc::new(source), idle_after: None, details })
}

struct Plan {
    picked: Arc<Picked>,
    /// Columns that are given, by their place in the picked rows.
    columns: Vec<usize>,
    /// As which types.
    schema: SchemaRef,
}

struct StateSource(Arc<Plan>);

impl Source for StateSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        let found = snapshot.is_some_and(|snapshot| !snapshot.is_empty());
        Ok(Box::new(Enumerator { plan: Arc::clone(&self.0), found }))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader { plan: Arc::clone(&self.0), splits: BTreeMap::new() }))
    }
}

struct Enumerator {
    plan: Arc<Plan>,
    found: bool,
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if std::mem::replace(&mut self.found, true) {
            return Ok(Vec::new());
        }
        let groups = self.plan.picked.key_groups;
        let count = groups.min(SPLITS);
        let ranges = (0..count)
            .map(|number| KeyGroupRange::of_subtask(weir_protocol::Subtask(number), count, groups));
        let split = |range: KeyGroupRange| Split {
            id: format!("key groups {} to {}", range.start, range.end - 1),
            position: Position { group: range.start, rows: 0, end: range.end }.encode(),
            watermark: None,
            lower_bound: None,
            size: 0,
        };
        Ok(ranges.map(split).collect())
    }

    fn interval(&self) -> Option<std::time::Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        // All splits are found at once, or none.
        if self.found { Bytes::from_static(b"1") } else { Bytes::new() }
    }
}

/// Where a split is read on.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    group: u16,
    rows: u64,
    end: u16,
}

impl Position {
    fn encode(self) -> Bytes {
        // Numbers in a struct: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(&self).unwrap_or_default().into()
    }
}

struct Reader {
    plan: Arc<Plan>,
    splits: BTreeMap<usize, Reading>,
}

struct Reading {
    rows: mpsc::Receiver<Result<(RecordBatch, At), EngineError>>,
    at: Position,
}

impl SourceReader for Reader {
    fn add(&mut self, cx: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let at: Position = serde_json::from_slice(&split.position).map_err(|error| {
            EngineError::internal(format!("{}: its position cannot be read: {error}", split.id))
        })?;
        let (send, rows) = mpsc::channel(AHEAD);
        let (plan, waker, handle) = (Arc::clone(&self.plan), cx.waker.clone(), cx.io.clone());
        // Rows are decoded where they are read: neither may hold the task up, nor what else the
        // runtime does.
        cx.io.spawn_blocking(move || {
            handle.block_on(read(&plan, at, &send, &waker));
            // The end is told by the channel closing.
            drop(send);
            waker.wake();
        });
        self.splits.insert(index, Reading { rows, at });
        Ok(())
    }

    fn poll(&mut self, _: &mut Context) -> Result<SourcePoll, EngineError> {
        for (&split, reading) in &mut self.splits {
            match reading.rows.try_recv() {
                Ok(rows) => {
                    let (rows, behind) = rows?;
                    reading.at = Position { group: behind.group, rows: behind.rows, ..reading.at };
                    return Ok(SourcePoll::Rows { split, records: self.plan.shown(&rows)? });
                }
                Err(mpsc::error::TryRecvError::Empty) => {}
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.splits.remove(&split);
                    return Ok(SourcePoll::Finished { split });
                }
            }
        }
        Ok(SourcePoll::Pending)
    }

    fn position(&self, index: usize) -> Bytes {
        self.splits.get(&index).map(|reading| reading.at.encode()).unwrap_or_default()
    }

    fn owes(&self, index: usize) -> bool {
        self.splits.contains_key(&index)
    }
}

impl Plan {
    /// The columns that are wanted, as types of SQL.
    fn shown(&self, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = |(&at, field): (&usize, &arrow::datatypes::FieldRef)| {
            let column = rows.column(at);
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &strict)
        };
        let columns = self.columns.iter().zip(self.schema.fields()).map(column);
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// Reads a split to its end, or until nobody listens any more.
async fn read(
    plan: &Plan,
    at: Position,
    to: &mpsc::Sender<Result<(RecordBatch, At), EngineError>>,
    waker: &Waker,
) {
    let range = KeyGroupRange { start: at.group, end: at.end };
    let from = At { group: at.group, rows: at.rows };
    let failed = |error: anyhow::Error| {
        let asked = &plan.picked.asked;
        EngineError::user(format!(
            "{}: version {} cannot be read: {error:#}; the job may have gone on and dropped it: ask again, or take a savepoint and read that",
            asked.place,
            asked.version.unwrap_or_default()
        ))
    };
    let mut rows = match LiveRows::open(Arc::clone(&plan.picked), range, from).await {
        Ok(rows) => rows,
        Err(error) => {
            let _ = to.send(Err(failed(error))).await;
            return;
        }
    };
    loop {
        let next = match rows.next().await {
            Ok(Some(next)) => Ok(next),
            Ok(None) => return,
            Err(error) => Err(failed(error)),
        };
        let ends = next.is_err();
        // Nobody listens when the reader is gone, which is fine.
        if to.send(next).await.is_err() || ends {
            return;
        }
        waker.wake();
    }
}
