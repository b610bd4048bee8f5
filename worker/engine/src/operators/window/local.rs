//! The local half: pre-aggregates each slice before the exchange.
//!
//! It keeps nothing across a barrier or idleness: partial results leave when the watermark
//! completes the first window they count in, at a flush, when they take too much memory, and when
//! no rows came for a while (so that memory is not held for nothing).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::TimestampMillisecondType;
use weir_protocol::Counter;
use weir_state::hash::hash_columns;

use super::plan::Plan;
use super::slices::{SliceId, Slices};
use super::table::Table;
use crate::operator::{OutputTag, SnapshotRequest};
use crate::{
    Batch, Context, Operator, OperatorError, Output, Progress, RowKind, Snapshot, Watermark,
};

/// When partial results leave early, and when rows are not pre-aggregated at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Partial results beyond this many bytes leave.
    pub(super) memory: usize,
    /// Rows after which it is judged whether pre-aggregation pays: it does not when more than
    /// four in five made a new group.
    pub(super) sample: usize,
    /// Rows that then pass as they are, before it is tried again.
    pub(super) bypass: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 48 << 20, sample: 100_000, bypass: 2_000_000 }
    }
}

/// Batches given out per call.
const BATCHES: usize = 4;

/// The operator.
pub(super) struct Local {
    plan: Arc<Plan>,
    limits: Limits,
    tables: BTreeMap<SliceId, Table>,
    leaving: Option<Leaving>,
    sample: Sample,
    /// Groups of a recent slice: room that a new one is given.
    expected: usize,
    rows_since_tick: usize,
    slots: Vec<u32>,
}

/// Tables on their way out, the next one last, and the row to go on with.
struct Leaving {
    tables: Vec<(SliceId, Table)>,
    row: usize,
}

/// Whether pre-aggregation pays.
#[derive(Default)]
struct Sample {
    rows: usize,
    groups: usize,
    /// Rows still to pass as they are.
    bypass: usize,
}

impl Sample {
    fn add(&mut self, rows: usize, groups: usize, limits: &Limits) {
        self.rows += rows;
        self.groups += groups;
        if self.rows >= limits.sample {
            let pays = self.groups * 5 <= self.rows * 4;
            *self = Self { bypass: if pays { 0 } else { limits.bypass }, ..Self::default() };
        }
    }
}

impl Local {
    pub(super) fn new(plan: Arc<Plan>, limits: Limits) -> Self {
        Self {
            plan,
            limits,
            tables: BTreeMap::new(),
            leaving: None,
            sample: Sample::default(),
            expected: 0,
            rows_since_tick: 0,
            slots: Vec::new(),
        }
    }

    /// Sends away the tables that `leaves` says of, a few batches at a time.
    fn start_leaving(
        &mut self,
        leaves: impl Fn(SliceId) -> bool,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        let ids: Vec<SliceId> = self.tables.keys().copied().filter(|&id| leaves(id)).collect();
        let tables = ids
            .into_iter()
            .rev()
            .filter_map(|id| self.tables.remove(&id).map(|table| (id, table)))
            .collect();
        self.leaving = Some(Leaving { tables, row: 0 });
        self.leave(out)
    }

    fn leave(&mut self, out: &mut Output) -> Result<Progress, OperatorError> {
        let Some(leaving) = &mut self.leaving else {
            return Ok(Progress::Done);
        };
        for _ in 0..BATCHES {
            let Some((id, table)) = leaving.tables.last() else {
                break;
            };
            let slots = self.plan.next_slots(leaving.row, table.len());
            let keys = table.keys(&slots)?;
            let hashes = hash_columns(&keys, slots.len());
            let partial = table.partial(&slots)?;
            let records = self.plan.intermediate(keys, *id, partial, slots.len())?;
            out.push(Batch::new(records).with_hashes(hashes));
            leaving.row += slots.len();
            if leaving.row == table.len() {
                self.expected = table.len();
                leaving.tables.pop();
                leaving.row = 0;
            }
        }
        if leaving.tables.is_empty() {
            self.leaving = None;
            return Ok(Progress::Done);
        }
        Ok(Progress::More)
    }

    /// Rows pass as partial results of themselves.
    fn pass(
        &mut self,
        keys: Vec<ArrayRef>,
        partial: Vec<ArrayRef>,
        ids: &[SliceId],
        rows: usize,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let hashes = hash_columns(&keys, rows);
        let records = match ids {
            [id] => self.plan.intermediate(keys, *id, partial, rows)?,
            ids => {
                let ends: Int64Array = ids.iter().map(|id| Some(id.end)).collect();
                let visible: Int64Array = ids.iter().map(|id| Some(id.visible_from)).collect();
                self.plan.intermediate_with(keys, Arc::new(ends), Arc::new(visible), partial)?
            }
        };
        out.push(Batch::new(records).with_hashes(hashes));
        self.sample.bypass = self.sample.bypass.saturating_sub(rows);
        Ok(())
    }

    fn merge(
        &mut self,
        id: SliceId,
        keys: &[ArrayRef],
        partial: &[ArrayRef],
        rows: usize,
    ) -> Result<(), OperatorError> {
        let table = match self.tables.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(Table::counting(&self.plan, self.expected)?)
            }
        };
        let before = table.len();
        table.merge(keys, partial, rows, &mut self.slots)?;
        self.sample.add(rows, table.len() - before, &self.limits);
        Ok(())
    }

    fn columns(
        &self,
        records: &RecordBatch,
    ) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>), OperatorError> {
        let keys = self.plan.keys.iter().map(|&k| Arc::clone(records.column(k))).collect();
        let mut partial = Vec::new();
        for call in self.plan.calls.iter().chain(&self.plan.counting) {
            partial.extend(call.partial(records)?);
        }
        Ok((keys, partial))
    }

    /// Rows of several slices, none of them late.
    fn take_mixed(
        &mut self,
        records: &RecordBatch,
        ids: &[SliceId],
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let (keys, partial) = self.columns(records)?;
        if self.sample.bypass > 0 {
            return self.pass(keys, partial, ids, ids.len(), out);
        }
        for (id, rows) in group(ids) {
            let rows = UInt32Array::from(rows);
            let pick = |columns: &[ArrayRef]| {
                columns.iter().map(|c| take(c, &rows, None)).collect::<Result<Vec<_>, _>>()
            };
            self.merge(id, &pick(&keys)?, &pick(&partial)?, rows.len())?;
        }
        Ok(())
    }
}

/// The rows of each slice, in the order in which slices appear.
pub(super) fn group(ids: &[SliceId]) -> Vec<(SliceId, Vec<u32>)> {
    let mut groups: Vec<(SliceId, Vec<u32>)> = Vec::new();
    let mut last = 0;
    for (row, id) in ids.iter().enumerate() {
        // Neighbours mostly share a slice, and a batch has few of them.
        if groups.get(last).is_none_or(|(known, _)| known != id) {
            last = groups.iter().position(|(known, _)| known == id).unwrap_or_else(|| {
                groups.push((*id, Vec::new()));
                groups.len() - 1
            });
        }
        groups[last].1.push(row as u32);
    }
    groups
}

/// The slice of all rows, when it is the same and none of them is behind.
fn common_slice(slices: &Slices, times: &[i64]) -> Option<SliceId> {
    let end = slices.end_of(*times.first()?);
    let start = slices.slice_start(end);
    let length = end.wrapping_sub(start) as u64;
    let within = |time: &i64| (time.wrapping_sub(start) as u64) < length;
    // Without leaving early: the loop stays free of branches.
    times.iter().fold(true, |all, time| all & within(time)).then(|| SliceId::plain(end))
}

impl Operator for Local {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        if batch.kinds().is_some_and(|k| k.iter().any(|&kind| kind != RowKind::Insert)) {
            return Err(OperatorError::user(
                "a window aggregation takes rows that are only ever added; its input updates rows",
            ));
        }
        let records = batch.records();
        let times = records.column(self.plan.time).as_primitive::<TimestampMillisecondType>();
        if times.null_count() > 0 {
            return Err(OperatorError::user(
                "a row has no event time (NULL); filter such rows out with WHERE … IS NOT NULL",
            ));
        }
        self.rows_since_tick += batch.num_rows();
        let slices = self.plan.slices;
        let common = match batch.behind() {
            None => common_slice(&slices, times.values()),
            Some(_) => None,
        };
        if let Some(id) = common {
            let (keys, partial) = self.columns(records)?;
            if self.sample.bypass > 0 {
                self.pass(keys, partial, &[id], records.num_rows(), out)?;
            } else {
                self.merge(id, &keys, &partial, records.num_rows())?;
            }
        } else {
            let mut late = Vec::new();
            let mut kept = Vec::new();
            let mut ids = Vec::with_capacity(records.num_rows());
            for (row, &time) in times.values().iter().enumerate() {
                let end = slices.end_of(time);
                let id = match batch.behind().filter(|b| b.is_valid(row)) {
                    None => Some(SliceId::plain(end)),
                    Some(behind) => slices.behind(end, behind.value(row)),
                };
                match id {
                    Some(id) => {
                        kept.push(row as u32);
                        ids.push(id);
                    }
                    None => late.push(row as u32),
                }
            }
            if late.is_empty() {
                self.take_mixed(records, &ids, out)?;
            } else {
                cx.metrics.add(Counter::Late, late.len());
                out.push_to(OutputTag::Late, batch.take(&late.into())?);
                let kept = batch.take(&kept.into())?;
                self.take_mixed(kept.records(), &ids, out)?;
            }
        }
        if self.state_bytes() > self.limits.memory {
            return self.start_leaving(|_| true, out);
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.start_leaving(|id| mark.completes(id.visible_from), out)
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        self.leave(out)
    }

    fn flush(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        self.start_leaving(|_| true, out)
    }

    fn on_barrier(
        &mut self,
        _cx: &mut Context,
        _request: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        if self.leaving.is_some() || !self.tables.is_empty() {
            return Err(OperatorError::internal("partial results were left behind a barrier"));
        }
        Ok(Snapshot::default())
    }

    fn on_tick(&mut self, _cx: &mut Context, out: &mut Output) -> Result<(), OperatorError> {
        if self.rows_since_tick == 0 && !self.tables.is_empty() {
            // At most the limit's bytes, and only once the input has fallen silent.
            let mut progress = self.start_leaving(|_| true, out)?;
            while progress == Progress::More {
                progress = self.leave(out)?;
            }
        }
        self.rows_since_tick = 0;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.tables.values().map(Table::bytes).sum()
    }
}
