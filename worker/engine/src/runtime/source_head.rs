//! The head of a source task: reads splits, makes watermarks (PROTOCOL section 7).
//!
//! Whether a row is behind is decided against the watermark of its own split in force before
//! that row, so it depends on the split's content alone. The task's watermark is the minimum
//! over its active splits and over what is known of splits that nobody reads yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use weir_protocol::Counter;

use super::returned::Returned;
use super::silence::Silence;
use crate::env::instant;
use crate::message::Round;
use crate::operator::Context;
use crate::source::{
    EventTimes, Pending, RowMark, SourcePoll, SourceReader, Split, SplitAssignment, WatermarkRule,
};
use crate::task::SplitReport;
use crate::{Batch, EngineError, RowKind, Watermark};

/// What the head has for the chain.
#[derive(Debug)]
pub(crate) enum Read {
    /// Rows of one split.
    Rows(Batch),
    /// Nothing now.
    Nothing,
}

/// How the task's watermark stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WatermarkStatus {
    /// At least one split, or splits to come, hold it here.
    Active(Watermark),
    /// Nothing is read and nothing is known to come: this was the furthest.
    Idle(Watermark),
}

/// A reader, its splits and their watermarks.
pub(crate) struct SourceHead {
    pub(crate) cx: Context,
    reader: Box<dyn SourceReader>,
    times: Box<dyn EventTimes>,
    active: BTreeMap<usize, Active>,
    returned: Returned,
    next_index: usize,
    pending: Pending,
    round: Round,
    furthest: Watermark,
    /// Nothing more is to be read.
    drained: bool,
    /// The last poll brought nothing.
    waiting: bool,
    /// Absent when no split is ever declared idle.
    silence: Option<Silence>,
}

struct Active {
    split: Split,
    watermark: Watermark,
    quiet: Duration,
    idle: bool,
    /// When it was added, or gave rows last.
    heard: Instant,
}

impl SourceHead {
    pub(crate) fn new(
        cx: Context,
        reader: Box<dyn SourceReader>,
        times: Box<dyn EventTimes>,
        watermark: Option<Watermark>,
    ) -> Self {
        let silence = times.rule().and_then(|rule| rule.idle_after).map(Silence::new);
        Self {
            cx,
            reader,
            times,
            active: BTreeMap::new(),
            returned: Returned::default(),
            next_index: 0,
            pending: Pending::Unknown,
            round: Round::default(),
            furthest: watermark.unwrap_or(Watermark::MIN),
            drained: false,
            waiting: false,
            silence,
        }
    }

    /// Nothing more is read; the splits stay where they are.
    pub(crate) fn drain(&mut self) {
        self.drained = true;
    }

    /// Takes over splits and what is known of those to come.
    pub(crate) fn assign(&mut self, assignment: SplitAssignment) -> Result<(), EngineError> {
        self.returned.taken_back(assignment.taken_back);
        for split in assignment.splits {
            let index = self.next_index;
            self.next_index += 1;
            self.reader.add(&self.cx, index, &split)?;
            let watermark = split.watermark.map_or(Watermark::MIN, Watermark);
            let (quiet, heard) = (Duration::ZERO, instant());
            self.active.insert(index, Active { split, watermark, quiet, idle: false, heard });
        }
        self.pending = assignment.pending;
        self.round = assignment.round;
        Ok(())
    }

    /// The last round of found splits that it has heard of.
    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// Whether another split is wanted.
    pub(crate) fn wants_split(&self) -> bool {
        !self.drained && self.active.is_empty() && self.pending != Pending::Ended
    }

    /// Splits to be sent back with the next request.
    pub(crate) fn give_back(&mut self) -> Vec<Split> {
        self.returned.send()
    }

    /// Whether everything was read and nothing will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.drained || (self.active.is_empty() && self.pending == Pending::Ended)
    }

    /// Splits with their positions behind the last rows that were given to the chain.
    pub(crate) fn positions(&self) -> Vec<Split> {
        let active =
            self.active.iter().map(|(&index, active)| active.at(self.reader.position(index)));
        active.chain(self.returned.splits()).collect()
    }

    /// Bytes or rows that the splits still hold.
    pub(crate) fn remaining(&self) -> u64 {
        self.active.keys().map(|&index| self.reader.remaining(index)).sum()
    }

    /// At most so many splits for people, those that are furthest behind first.
    pub(crate) fn reports(&self, most: usize) -> Vec<SplitReport> {
        let mut behind: Vec<(usize, &Active)> = self.active.iter().map(|(&i, a)| (i, a)).collect();
        behind.sort_by_key(|(_, active)| (active.idle, active.watermark));
        behind.truncate(most);
        let report = |(index, active): (usize, &Active)| SplitReport {
            id: active.split.id.clone(),
            watermark: (active.watermark != Watermark::MIN).then_some(active.watermark),
            silent_since: active.heard,
            idle: active.idle,
            remaining: self.reader.remaining(index),
        };
        behind.into_iter().map(report).collect()
    }

    /// Something holds the task up: time until the next poll does not count as silence.
    pub(crate) fn held_up(&mut self, now: Instant) {
        if let Some(silence) = &mut self.silence {
            silence.held_up(now);
        }
    }

    /// Reads once.
    pub(crate) fn read(&mut self, now: Instant) -> Result<Read, EngineError> {
        if self.drained {
            return Ok(Read::Nothing);
        }
        let polled = self.reader.poll(&mut self.cx)?;
        let heard = match &polled {
            SourcePoll::Rows { split, .. }
            | SourcePoll::Finished { split }
            | SourcePoll::Returned { split, .. } => Some(*split),
            SourcePoll::Pending => None,
        };
        if let SourcePoll::Finished { .. } | SourcePoll::Returned { .. } = polled {
            self.cx.metrics.add(Counter::Splits, 1);
        }
        self.waiting = heard.is_none();
        self.count_silence(now, heard);
        if let Some(active) = heard.and_then(|split| self.active.get_mut(&split)) {
            active.heard = now;
        }
        match polled {
            SourcePoll::Rows { split, records } => self.rows(split, records).map(Read::Rows),
            SourcePoll::Finished { split } => {
                self.active.remove(&split);
                Ok(Read::Nothing)
            }
            SourcePoll::Returned { split, position, left } => {
                if let Some(active) = self.active.remove(&split) {
                    let returned = Split { size: left, ..active.at(position) };
                    self.returned.push(returned);
                }
                Ok(Read::Nothing)
            }
            SourcePoll::Pending => Ok(Read::Nothing),
        }
    }

    /// Whether the last read found nothing, so that only a wake-up makes another one useful.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Every split but the one that was heard of was asked in vain; of those that owe rows, it is
    /// the reader that is slow.
    fn count_silence(&mut self, now: Instant, heard: Option<usize>) {
        let Some(silence) = &mut self.silence else { return };
        let quiet = silence.polled(now);
        for (index, active) in &mut self.active {
            if heard == Some(*index) || self.reader.owes(*index) {
                active.quiet = Duration::ZERO;
            } else {
                active.quiet += quiet;
            }
            active.idle = silence.is_over(active.quiet);
        }
    }

    fn rows(&mut self, index: usize, records: RecordBatch) -> Result<Batch, EngineError> {
        let kinds = self.times.kinds(&records)?;
        // Of rows of which only the key counts NULL elsewhere says nothing.
        let by_key = self.times.goes_by_key();
        let whole = |row: usize| {
            let kind = kinds.as_ref().and_then(|kinds| kinds.get(row));
            !by_key || kind.is_none_or(|kind| *kind != RowKind::Delete)
        };
        for not_null in self.times.not_null() {
            if let Some(row) = first_null(&records, not_null.column, whole) {
                let error = EngineError::user(&not_null.message);
                return Err(error.at(self.place(index, row)));
            }
        }
        let projected = self.times.project(records)?;
        let Some(rule) = self.times.rule() else {
            return Ok(Batch::new(projected).with_kinds(kinds));
        };
        let Some(active) = self.active.get(&index) else {
            return Err(EngineError::internal(format!(
                "a reader gave rows of split {index}, which it does not have"
            )));
        };
        if let Some(row) = first_null(&projected, rule.column, whole) {
            let error = null_time(projected.schema_ref().field(rule.column).name());
            return Err(error.at(self.place(index, row)));
        }
        let shows = self.times.shows_watermark();
        let marked = mark_rows(&projected, rule, active.watermark, shows.is_some())?;
        let Marked { behind, before, watermark } = marked;
        if let Some(active) = self.active.get_mut(&index) {
            active.watermark = watermark;
        }
        self.furthest = self.furthest.max(watermark);
        let projected = match (shows, before) {
            (Some(column), Some(before)) => showing(&projected, column, &before)?,
            _ => projected,
        };
        Ok(Batch::new(projected).with_kinds(kinds).with_behind(behind))
    }

    /// Where row `row` of the last rows stands: outside, or else in which split.
    fn place(&self, index: usize, row: usize) -> String {
        let split = || self.active.get(&index).map(|active| active.split.id.clone());
        self.reader.place(&self.cx, index, row).or_else(split).unwrap_or_default()
    }

    /// Where the task's watermark stands; it is up to the caller to never step back.
    pub(crate) fn watermark_status(&self) -> WatermarkStatus {
        if self.times.rule().is_none() {
            // Without event time nothing waits for this source, unless it is said to.
            return if self.has_ended() {
                WatermarkStatus::Active(Watermark::MAX)
            } else if self.times.waits_for_end() {
                WatermarkStatus::Active(Watermark::MIN)
            } else {
                WatermarkStatus::Idle(Watermark::MIN)
            };
        }
        if self.has_ended() {
            return WatermarkStatus::Active(Watermark::MAX);
        }
        let active = self.active.values().filter(|a| !a.idle).map(|a| a.watermark);
        let splits = active.chain(self.returned.held()).min();
        let to_come = match self.pending {
            Pending::None | Pending::Ended => None,
            pending => Some(pending.bound()),
        };
        match splits.into_iter().chain(to_come).min() {
            Some(mark) => WatermarkStatus::Active(mark),
            None => WatermarkStatus::Idle(self.furthest),
        }
    }
}

impl Active {
    /// The split as it stands at `position`.
    fn at(&self, position: bytes::Bytes) -> Split {
        let watermark = (self.watermark != Watermark::MIN).then_some(self.watermark.0);
        Split { position, watermark, ..self.split.clone() }
    }
}

/// The first row of those that count which has NULL in a column.
fn first_null(
    records: &RecordBatch,
    column: usize,
    counts: impl Fn(usize) -> bool,
) -> Option<usize> {
    let nulls =
        records.columns().get(column)?.logical_nulls().filter(|nulls| nulls.null_count() > 0)?;
    (0..nulls.len()).find(|&row| nulls.is_null(row) && counts(row))
}

fn null_time(column: &str) -> EngineError {
    EngineError::user(format!(
        "the event time \"{column}\" is NULL: its value is missing, or cannot be read as a time; \
         correct the record, or let a computed column give it a time, as COALESCE does"
    ))
}

/// What is known of watermarks at each of some rows.
struct Marked {
    /// The watermark of each row that was read behind it.
    behind: Option<Int64Array>,
    /// If asked for, what each row finds: the last time that is past, NULL before the first.
    before: Option<Int64Array>,
    /// The split's watermark afterwards.
    watermark: Watermark,
}

/// Walks rows of a split; `keep`: whether what each finds is asked for.
fn mark_rows(
    records: &RecordBatch,
    rule: &WatermarkRule,
    before: Watermark,
    keep: bool,
) -> Result<Marked, EngineError> {
    let times = milliseconds(records, rule.column)?;
    // Rows that go by their keys have none, and mark nothing.
    let has_none = |row: usize| times.nulls().is_some_and(|nulls| nulls.is_null(row));
    let mut marking = Marking {
        watermark: before.0,
        behind: None,
        before: keep.then(|| vec![None; times.len()]),
        rows: times.len(),
    };
    match rule.mark {
        RowMark::Delay(delay) => {
            for (row, &time) in times.values().iter().enumerate() {
                if !has_none(row) {
                    marking.row(row, time, time.saturating_sub(delay));
                }
            }
        }
        RowMark::Column(column) => {
            let marks = milliseconds(records, column)?;
            for (row, (&time, mark)) in times.values().iter().zip(&marks).enumerate() {
                if !has_none(row) {
                    marking.row(row, time, mark.map_or(i64::MIN, |mark| mark.saturating_add(1)));
                }
            }
        }
    }
    Ok(Marked {
        behind: marking.behind.map(Int64Array::from),
        before: marking.before.map(Int64Array::from),
        watermark: Watermark(marking.watermark),
    })
}

/// The records with what each row finds in a column.
fn showing(
    records: &RecordBatch,
    column: usize,
    before: &Int64Array,
) -> Result<RecordBatch, EngineError> {
    let zone = match records.schema_ref().field(column).data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => zone.clone(),
        other => {
            let message = format!("a watermark is shown as {other}, and is one in milliseconds");
            return Err(EngineError::internal(message));
        }
    };
    let shown = before.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone);
    let mut columns = records.columns().to_vec();
    columns[column] = Arc::new(shown);
    Ok(RecordBatch::try_new(records.schema(), columns)?)
}

/// Walks a split's rows with the watermark in force before each.
struct Marking {
    watermark: i64,
    behind: Option<Vec<Option<i64>>>,
    before: Option<Vec<Option<i64>>>,
    rows: usize,
}

impl Marking {
    #[inline]
    fn row(&mut self, row: usize, time: i64, mark: i64) {
        if time < self.watermark {
            self.behind.get_or_insert_with(|| vec![None; self.rows])[row] = Some(self.watermark);
        }
        if let Some(before) = &mut self.before {
            // Rows below the watermark are past.
            before[row] = (self.watermark > i64::MIN).then(|| self.watermark - 1);
        }
        self.watermark = self.watermark.max(mark);
    }
}

/// A timestamp column in milliseconds, rounded down.
fn milliseconds(records: &RecordBatch, column: usize) -> Result<Int64Array, EngineError> {
    let array = records.column(column);
    let converted = match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().unary(|t| t.saturating_mul(1000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().unary(|t| t.div_euclid(1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(|t| t.div_euclid(1_000_000))
        }
        other => {
            return Err(EngineError::internal(format!(
                "column \"{}\" is {other}, but event time needs a timestamp",
                records.schema_ref().field(column).name()
            )));
        }
    };
    Ok(converted)
}

#[cfg(test)]
mod tests;
