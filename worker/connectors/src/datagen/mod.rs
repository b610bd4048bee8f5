//! `datagen`: rows made up from a seed.
//!
//! Row `i` is a function of the seed, the column and `i` alone, and the rows are dealt to a
//! fixed number of splits (`scan.splits`, 8 unless given; split `s` of `n` makes the rows with
//! `i mod n = s`), so the union of the rows is the same at any parallelism and after any
//! restore.
//!
//! A ROW, ARRAY, MAP or MULTISET is made of values of its own, whose options stand behind the names of
//! fields, `element`, `key` and `value`: `fields.buyer.first_name.length`, `fields.tags.element.min`.
//! Of equal keys in a MAP or MULTISET one stays, as in Flink.
//!
//! Option names are Flink's; `seed`, `scan.splits`, and `fields.#.start` for timestamps are
//! ours: a timestamp column follows the row's number at `rows-per-second`, from `start`, less a
//! random part of `max-past`. Without `seed` it starts at the present and the seed is 0;
//! with one, at 2024-01-01, so that two runs give the same rows.

mod column;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::env::Clock;
use weir_engine::operator::Context;
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_protocol::Counter;

use crate::options::Options;
use crate::table::{Problem, SourceParts, Table};
use column::{Column, Part};
use values::{Numbers, mix};

/// Rows per batch at most.
const BATCH: u64 = 8192;
/// Bytes of the values of a batch at most: memory must have a limit.
const MOST_BYTES: u64 = 256 << 20;
/// 2024-01-01 00:00:00, the first event time of a seeded table.
const SEEDED_START_MS: i64 = 1_704_067_200_000;

/// Rows of a split: `split`, `split + step`, `split + 2 × step`, …
#[derive(Clone, Copy)]
struct Rows {
    first: u64,
    step: u64,
    count: usize,
}

impl Rows {
    fn iter(self) -> impl Iterator<Item = u64> {
        (0..self.count as u64).map(move |k| self.first + k * self.step)
    }
}

/// How many rows are made.
#[derive(Clone, Copy)]
struct Pace {
    per_second: u64,
    /// At once, at most.
    batch: u64,
    /// Of all splits; `None`: without end.
    rows: Option<u64>,
}

struct Datagen {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    pace: Pace,
    splits: u64,
    /// First event time; `None`: when the splits are first made.
    start_ms: Option<i64>,
    idle_after: Option<Duration>,
}

/// How far a split is.
#[derive(Serialize, Deserialize)]
struct Position {
    v: u32,
    split: u64,
    of: u64,
    /// Rows of this split that were made.
    made: u64,
    start_ms: i64,
}

/// The parts of a datagen source.
///
/// # Errors
/// Every problem with the table's options.
pub fn source(table: &Table, projection: &[usize]) -> Result<SourceParts, Vec<Problem>> {
    let mut options = Options::new(table);
    let per_second = options.number("rows-per-second").unwrap_or(10_000);
    if per_second == 0 {
        options.refuse(
            "rows-per-second",
            "'rows-per-second' is 0: no row would ever come; give at least 1",
        );
    }
    let mut rows = options.number("number-of-rows");
    let seed = options.number("seed");
    let splits = options.number("scan.splits").unwrap_or(8);
    if !(1..=1024).contains(&splits) {
        options.refuse(
            "scan.splits",
            format!("'scan.splits' is {}; give 1 to 1024", options.detail("scan.splits", splits)),
        );
    }
    let idle_after = options.duration("scan.watermark.idle-timeout");
    let mut columns = Vec::with_capacity(table.schema.fields().len());
    for (i, field) in table.schema.fields().iter().enumerate() {
        if let Some(key) = table.metadata.get(&i) {
            options.refuse_table(format!(
                "column '{}': connector 'datagen' has no metadata '{key}'; remove METADATA",
                field.name()
            ));
            continue;
        }
        let part = Part {
            field,
            declared: table.declared(i),
            path: field.name(),
            salt: mix(mix(seed.unwrap_or(0)) ^ i as u64),
            per_second: per_second.max(1),
        };
        let column = Column::read(&mut options, part);
        if let Some(length) = column.as_ref().and_then(Column::sequence_length) {
            // As in Flink: the shortest sequence ends the table.
            rows = Some(rows.map_or(length, |rows| rows.min(length)));
        }
        columns.extend(column);
    }
    let row_bytes = projection
        .iter()
        .filter_map(|&i| columns.get(i))
        .map(Column::most_bytes)
        .fold(1, u64::saturating_add);
    if row_bytes > MOST_BYTES {
        options.refuse_table(format!(
            "a row of this table may have {row_bytes} bytes, of which datagen makes {MOST_BYTES} at most; give smaller 'fields.….length'"
        ));
    }
    let parallelism = options.parallelism("scan.parallelism");
    let mut details = BTreeMap::from([
        ("connector".to_owned(), "datagen".to_owned()),
        ("rows per second".to_owned(), options.detail("rows-per-second", per_second)),
        ("splits".to_owned(), options.detail("scan.splits", splits)),
    ]);
    if let Some(rows) = rows {
        details.insert("rows".to_owned(), options.detail("number-of-rows", rows));
    }
    details.extend(parallelism);
    let problems = options.finish();
    // A column whose values are withheld is missing without being wrong.
    if !problems.is_empty() || columns.len() < table.schema.fields().len() {
        return Err(problems);
    }
    let schema = table.schema.project(projection).map_err(|error| {
        vec![Problem { at: None, message: format!("columns cannot be projected: {error}") }]
    })?;
    let source = Datagen {
        schema: Arc::new(schema),
        columns: projection.iter().map(|&i| columns[i].clone()).collect(),
        pace: Pace { per_second, batch: (MOST_BYTES / row_bytes).clamp(1, BATCH), rows },
        splits,
        start_ms: seed.map(|_| SEEDED_START_MS),
        idle_after,
    };
    let idle_after = source.idle_after;
    Ok(SourceParts { source: Arc::new(source), idle_after, details })
}

impl Source for Datagen {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        self.pace.rows.is_some()
    }

    fn assignment(&self) -> Assignment {
        // All splits are made at the same pace, so that event time goes on evenly.
        Assignment::Eager
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Enumerator {
            found: snapshot.is_some_and(|s| &s[..] == b"found"),
            splits: self.splits,
            rows: self.pace.rows,
            start_ms: self.start_ms,
        }))
    }

    fn reader(&self, _cx: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader {
            schema: self.schema.clone(),
            columns: self.columns.clone(),
            pace: self.pace,
            splits: BTreeMap::new(),
            after: 0,
            wake: Arc::default(),
        }))
    }
}

struct Enumerator {
    found: bool,
    splits: u64,
    rows: Option<u64>,
    start_ms: Option<i64>,
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if std::mem::replace(&mut self.found, true) {
            return Ok(Vec::new());
        }
        let start_ms = self.start_ms.unwrap_or_else(|| Clock::System.now_ms());
        let split = |split: u64| Split {
            id: format!("datagen/{split}"),
            position: Position { v: 1, split, of: self.splits, made: 0, start_ms }.encode(),
            watermark: None,
            lower_bound: None,
            size: self.rows.map_or(0, |rows| rows_of(rows, split, self.splits)),
        };
        Ok((0..self.splits).map(split).collect())
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        Bytes::from_static(if self.found { b"found" } else { b"" })
    }
}

/// How many of `rows` rows belong to split `split` of `of`.
fn rows_of(rows: u64, split: u64, of: u64) -> u64 {
    rows / of + u64::from(rows % of > split)
}

impl Position {
    fn encode(&self) -> Bytes {
        // A struct of numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

struct Progress {
    position: Position,
    /// When this reader began with it, and how many rows were made by then.
    since: Option<(i64, u64)>,
}

struct Reader {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    pace: Pace,
    splits: BTreeMap<usize, Progress>,
    /// The split polled last; the next poll begins behind it.
    after: usize,
    /// Whether a wake-up is on its way.
    wake: Arc<std::sync::atomic::AtomicBool>,
}

impl Reader {
    /// How many rows this split may and should make now.
    fn due(pace: Pace, now_ms: i64, split: &mut Progress) -> u64 {
        let Pace { per_second, batch, rows } = pace;
        let of = split.position.of;
        let made = split.position.made;
        let (began, before) = *split.since.get_or_insert((now_ms, made));
        let elapsed = u128::try_from(now_ms - began).unwrap_or(0);
        let allowed = elapsed * u128::from(per_second) / (1000 * u128::from(of));
        let allowed = before.saturating_add(u64::try_from(allowed).unwrap_or(u64::MAX));
        let left = rows
            .map_or(u64::MAX, |rows| rows_of(rows, split.position.split, of).saturating_sub(made));
        // At least a tenth of a second's rows at once, so that slow tables stay cheap.
        let worth = (per_second / of / 10).clamp(1, batch).min(left);
        let due = allowed.saturating_sub(made).min(left).min(batch);
        if due >= worth { due } else { 0 }
    }

    fn make(&self, position: &Position, count: u64) -> Result<RecordBatch, EngineError> {
        let rows = Rows {
            first: position.made * position.of + position.split,
            step: position.of,
            count: count as usize,
        };
        let numbers: Vec<u64> = rows.iter().collect();
        let of = Numbers { numbers: &numbers, per_row: 1 };
        let columns: Result<Vec<_>, _> =
            self.columns.iter().map(|column| column.make(of, position.start_ms)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns?, &options)?)
    }
}

impl SourceReader for Reader {
    fn add(&mut self, _cx: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let position: Position = serde_json::from_slice(&split.position).map_err(|error| {
            EngineError::internal(format!(
                "datagen: the position of split {} cannot be read: {error}",
                split.id
            ))
        })?;
        if position.v != 1 || position.of == 0 {
            return Err(EngineError::internal(format!(
                "datagen: the position of split {} has version {}; this version of Weir reads 1",
                split.id, position.v
            )));
        }
        self.splits.insert(index, Progress { position, since: None });
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        use std::sync::atomic::Ordering;
        let now_ms = cx.clock.now_ms();
        let order = self.splits.range((Excluded(self.after), Unbounded)).map(|(&i, _)| i);
        let order: Vec<usize> = order
            .chain(self.splits.range((Unbounded, Included(self.after))).map(|(&i, _)| i))
            .collect();
        for index in order {
            let Some(split) = self.splits.get_mut(&index) else {
                continue;
            };
            let due = Self::due(self.pace, now_ms, split);
            let position = &split.position;
            if self
                .pace
                .rows
                .is_some_and(|rows| rows_of(rows, position.split, position.of) <= position.made)
            {
                self.splits.remove(&index);
                return Ok(SourcePoll::Finished { split: index });
            }
            if due > 0 {
                let records = match self.splits.get(&index) {
                    Some(split) => self.make(&split.position, due)?,
                    None => continue,
                };
                if let Some(split) = self.splits.get_mut(&index) {
                    split.position.made += due;
                }
                self.after = index;
                cx.metrics.add(Counter::Bytes, records.get_array_memory_size());
                return Ok(SourcePoll::Rows { split: index, records });
            }
        }
        if !self.splits.is_empty() && !self.wake.swap(true, Ordering::AcqRel) {
            let (waker, flag) = (cx.waker.clone(), self.wake.clone());
            cx.io.spawn(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                flag.store(false, Ordering::Release);
                waker.wake();
            });
        }
        Ok(SourcePoll::Pending)
    }

    fn position(&self, index: usize) -> Bytes {
        self.splits.get(&index).map(|split| split.position.encode()).unwrap_or_default()
    }

    fn remaining(&self, index: usize) -> u64 {
        let Some((split, rows)) = self.splits.get(&index).zip(self.pace.rows) else {
            return 0;
        };
        rows_of(rows, split.position.split, split.position.of).saturating_sub(split.position.made)
    }
}

#[cfg(test)]
mod tests;
