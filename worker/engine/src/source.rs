//! Sources: an enumerator that finds splits, readers that read them.
//!
//! The enumerator lives with the coordinator and hands out splits; a reader lives in a task.
//! Exactness rests on one rule: messages from the coordinator to a worker keep their order, so
//! a split that was assigned before a checkpoint was triggered is the reader's at that cut, and
//! one assigned after it is still the enumerator's.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
pub use weir_protocol::Split;

use crate::batch::RowKind;
use crate::message::Round;
use crate::operator::Context;
use crate::time::EventTime;
use crate::{EngineError, Watermark};

/// How splits reach readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignment {
    /// A reader asks when it has nothing left: for many bounded splits.
    Pull,
    /// All at once, by `hash(id) % parallelism`: for partitions that are read for ever.
    Eager,
}

/// A source as the program names it; makes enumerators and readers.
pub trait Source: Send + Sync {
    /// Columns of the batches that readers return (physical and metadata columns, in the
    /// table's order, before computed columns).
    fn schema(&self) -> SchemaRef;

    /// Whether it ends by itself.
    fn is_bounded(&self) -> bool;

    /// How splits are handed out.
    fn assignment(&self) -> Assignment;

    /// An enumerator, as new or from [`SplitEnumerator::snapshot`].
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError>;

    /// A reader for one subtask.
    ///
    /// # Errors
    /// When it cannot be set up.
    fn reader(&self, cx: &Context) -> Result<Box<dyn SourceReader>, EngineError>;
}

/// Finds splits. Runs beside the coordinator, on the I/O runtime.
#[async_trait]
pub trait SplitEnumerator: Send {
    /// Splits that were not known before, each with its first position resolved to a number
    /// (never "latest"), so that a restore cannot skip rows.
    ///
    /// # Errors
    /// When the outside cannot be reached or has lost what was known.
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError>;

    /// How often to look again; `None` for once only.
    fn interval(&self) -> Option<Duration>;

    /// What it must remember to not find a split twice.
    fn snapshot(&self) -> Bytes;

    /// A reader gave a split back ([`SourcePoll::Returned`]), with the position and the watermark
    /// that it had reached. [`SplitEnumerator::discover`] may find it again later, under its id.
    /// Until then only [`SplitEnumerator::snapshot`] knows of it.
    ///
    /// # Errors
    /// When the position cannot be read.
    fn take_back(&mut self, split: Split) -> Result<(), EngineError> {
        Err(EngineError::internal(format!(
            "split {} was given back, but this source's splits are read to their ends",
            split.id
        )))
    }

    /// The smallest event time that splits which were given back may still hold in rows that are
    /// known to be coming (`i64::MIN`: any); it holds the watermark. `None`: nothing is known to
    /// come.
    fn held(&self) -> Option<EventTime> {
        None
    }

    /// A published manifest covers these positions: a chance to show them outside (consumer
    /// group offsets). Failures are logged, never fatal.
    async fn on_published(&mut self, splits: &[Split]) {
        let _ = splits;
    }
}

/// What a reader has.
#[derive(Debug)]
pub enum SourcePoll {
    /// Rows of one split, in the order of the split.
    Rows {
        /// [`Split::id`].
        split: usize,
        /// The rows, with the schema of [`Source::schema`].
        records: RecordBatch,
    },
    /// The split was read to its end; the reader forgets it. No further rows of it follow.
    Finished {
        /// Index as in `Rows`.
        split: usize,
    },
    /// The split was read as far as it goes for now, and goes back to the enumerator; the reader
    /// forgets it. It may be read on later, by any reader.
    Returned {
        /// Index as in `Rows`.
        split: usize,
        /// Where to go on, as [`SourceReader::position`].
        position: Bytes,
        /// Bytes (or rows) that are there and cannot be read yet, such as a line without its
        /// end. While there are any, the split holds the watermark.
        left: u64,
    },
    /// Nothing now; the task is woken through the context's waker.
    Pending,
}

/// Reads splits. Lives in a task: it must not block, decoding happens in `poll`, fetching on
/// the I/O runtime.
///
/// Splits are known by the index that [`SourceReader::add`] was given; indices are never used
/// again within a reader's life.
pub trait SourceReader: Send {
    /// Another split to read. `index` names it from now on.
    ///
    /// # Errors
    /// When the position cannot be read.
    fn add(&mut self, cx: &Context, index: usize, split: &Split) -> Result<(), EngineError>;

    /// The next rows of any split. One call returns at most one batch (4–8 k rows).
    ///
    /// # Errors
    /// Malformed records name the split and the position.
    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError>;

    /// The position after the last rows that `poll` returned for this split.
    fn position(&self, index: usize) -> Bytes;

    /// Where row `row` of the last rows that `poll` returned for this split stands outside, for a
    /// message: `flights.json:12`. Asked only when the task fails, and so may take its time.
    fn place(&self, cx: &Context, index: usize, row: usize) -> Option<String> {
        let _ = (cx, index, row);
        None
    }

    /// Whether rows of this split are known to be there that `poll` has not returned: decoded and
    /// waiting for a batch to fill, fetched, or found and not fetched yet. Such a split holds the
    /// watermark however long it gives nothing, since whatever the watermark passed meanwhile
    /// would be lost as late.
    fn owes(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// Bytes (or rows) of this split still to read, for progress; 0 when unknown.
    fn remaining(&self, index: usize) -> u64 {
        let _ = index;
        0
    }
}

/// How event time and watermarks come from a source's rows. Applied per split.
pub trait EventTimes: Send {
    /// Appends computed columns and drops what nobody reads.
    ///
    /// # Errors
    /// When an expression fails on the data.
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError>;

    /// The kinds of the rows that a reader gave, before they are projected; `None`: they only come.
    ///
    /// # Errors
    /// When what says so is something else, which is a bug.
    fn kinds(&self, _records: &RecordBatch) -> Result<Option<Arc<[RowKind]>>, EngineError> {
        Ok(None)
    }

    /// Whether rows that go name their keys only: then nothing else of them counts, their event
    /// time and the columns of [`Self::not_null`] included.
    fn goes_by_key(&self) -> bool {
        false
    }

    /// Where the event time and the watermark expression stand in the projected batch.
    fn rule(&self) -> Option<&WatermarkRule>;

    /// A column of the projected batch that shows the watermark in force before each row: that of
    /// its own split, NULL before the first. Its type is a timestamp in milliseconds.
    fn shows_watermark(&self) -> Option<usize> {
        None
    }

    /// Whether whatever stands behind waits for the source's end although its rows have no event
    /// time: of a job that works on what is there and then ends.
    fn waits_for_end(&self) -> bool {
        false
    }

    /// Columns of the reader's rows that hold no NULL, as whatever reads them may rely on.
    fn not_null(&self) -> &[NotNull] {
        &[]
    }
}

/// A column that is declared `NOT NULL`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotNull {
    /// Index in the schema of [`Source::schema`].
    pub column: usize,
    /// What to say of a row that has NULL there, to be put behind the row's place: cause and fix.
    pub message: String,
}

/// A table's `WATERMARK FOR` clause, and its idle timeout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatermarkRule {
    /// Index of the event-time column: `Timestamp(Millisecond, None)` or `Timestamp(_, _)` of
    /// another unit, in the projected batch.
    pub column: usize,
    /// How a row's watermark follows from it.
    pub mark: RowMark,
    /// A split that gave nothing for so long, while it was polled, not held up and owed nothing
    /// ([`SourceReader::owes`]), is idle.
    pub idle_after: Option<Duration>,
}

/// The watermark that one row allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowMark {
    /// The row's event time less this many milliseconds; below 0 it is past itself.
    Delay(i64),
    /// A millisecond more than the value in another column of the projected batch: rows up to that
    /// are past.
    Column(usize),
}

/// What the coordinator tells a source task about splits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SplitAssignment {
    /// Splits to read from now on.
    pub splits: Vec<Split>,
    /// While splits remain unassigned: the smallest event time they may hold (`None`: −∞). It
    /// holds the subtask's watermark.
    pub pending: Pending,
    /// How often splits had been found when this was sent. Every reader is told of each round,
    /// whether or not it gets a split of it.
    #[serde(default)]
    pub round: Round,
    /// How many splits the coordinator has taken back from this subtask since the term began.
    /// They are its own from here on: a cut that was triggered before this message has them at
    /// the subtask, every later one at the enumerator.
    #[serde(default)]
    pub taken_back: u64,
}

/// What is known about splits that nobody reads yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Pending {
    /// Some remain; none of their rows has an event time below this (milliseconds).
    Above(EventTime),
    /// Some remain, or discovery has not finished: hold the watermark at −∞.
    #[default]
    Unknown,
    /// None remain now, but more may be found later.
    None,
    /// None remain and none will come: the source ends when its splits end.
    Ended,
}

impl Pending {
    /// The bound that pending splits put on the subtask's watermark.
    #[must_use]
    pub fn bound(self) -> Watermark {
        match self {
            Self::Above(time) => Watermark(time),
            Self::Unknown => Watermark::MIN,
            Self::None | Self::Ended => Watermark::MAX,
        }
    }
}
