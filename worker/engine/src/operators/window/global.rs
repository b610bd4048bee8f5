//! The global half: merges partial results per slice, fires windows, keeps the state.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::Int64Type;

use super::local::group;
use super::plan::Plan;
use super::slices::SliceId;
use super::snapshot::{self, FrozenWindows, Tombstone};
use super::table::Table;
use crate::operator::{OperatorMetrics, Restored, SnapshotRequest};
use crate::{
    Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Snapshot, Watermark,
};

/// Batches merged or given out per call.
const BATCHES: usize = 4;

/// The operator.
pub(super) struct Global {
    plan: Arc<Plan>,
    tables: BTreeMap<SliceId, Table>,
    /// Windows that end here or before are complete.
    done: EventTime,
    /// The watermark whose windows are being fired.
    target: EventTime,
    firing: Option<Firing>,
    /// Slices that a snapshot knows and that are gone since.
    tombstones: Vec<Tombstone>,
    /// Groups of the largest recent slice: room that a new one is given.
    expected: usize,
    slots: Vec<u32>,
}

/// A window on its way out.
struct Firing {
    end: EventTime,
    /// What it is merged from, the next one last; a single one is given out as it is.
    inputs: Vec<SliceId>,
    /// The row of the last input to go on merging with.
    input_row: usize,
    merged: Option<Table>,
    /// The row to go on giving out with.
    row: usize,
}

impl Global {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            tables: BTreeMap::new(),
            done: EventTime::MIN,
            target: EventTime::MIN,
            firing: None,
            tombstones: Vec::new(),
            expected: 0,
            slots: Vec::new(),
        }
    }

    /// Merges rows of one slice. `None` of the windows is open when every other input was ahead
    /// of an idle one that came back; its rows are late then.
    fn merge(
        &mut self,
        cx: &Context,
        id: SliceId,
        records: &RecordBatch,
    ) -> Result<(), OperatorError> {
        let Some(visible_from) = self.plan.slices.next_window(id, self.done) else {
            OperatorMetrics::add(&cx.metrics.late, records.num_rows());
            return Ok(());
        };
        let table = match self.tables.entry(SliceId {
            visible_from,
            end: id.end,
        }) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Table::new(&self.plan, self.expected)?),
        };
        let columns = records.columns();
        let keys = &columns[..self.plan.keys.len()];
        let partial = &columns[self.plan.first_partial()..];
        table.merge(keys, partial, records.num_rows(), &mut self.slots)
    }

    /// Goes on with the windows up to `target`, in order, a few batches per call.
    fn fire(&mut self, out: &mut Output) -> Result<Progress, OperatorError> {
        let mut budget = BATCHES;
        loop {
            if self.firing.is_none() {
                match self.next_window() {
                    Some(end) => self.firing = Some(self.open(end)),
                    None => {
                        self.done = self.done.max(self.target);
                        return Ok(Progress::Done);
                    }
                }
            }
            if !self.advance(&mut budget, out)? {
                return Ok(Progress::More);
            }
        }
    }

    /// End of the first window that is not complete yet and has rows.
    fn next_window(&self) -> Option<EventTime> {
        self.tables
            .keys()
            .filter_map(|&id| self.plan.slices.next_window(id, self.done))
            .min()
            .filter(|&end| end <= self.target)
    }

    fn open(&self, end: EventTime) -> Firing {
        let counts = |id: &&SliceId| self.plan.slices.counts_in(**id, end);
        let inputs = self.tables.keys().filter(counts).copied().collect();
        Firing {
            end,
            inputs,
            input_row: 0,
            merged: None,
            row: 0,
        }
    }

    /// Works on the open window; `true` when it is finished, `false` when the budget is.
    fn advance(&mut self, budget: &mut usize, out: &mut Output) -> Result<bool, OperatorError> {
        let Some(firing) = &mut self.firing else {
            return Ok(true);
        };
        if firing.inputs.len() > 1 && firing.merged.is_none() {
            firing.merged = Some(Table::new(&self.plan, self.expected)?);
        }
        while let (Some(merged), Some(id)) = (&mut firing.merged, firing.inputs.last()) {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            if let Some(table) = self.tables.get(id) {
                let slots = self.plan.next_slots(firing.input_row, table.len());
                let (keys, partial) = (table.keys(&slots)?, table.partial(&slots)?);
                merged.merge(&keys, &partial, slots.len(), &mut self.slots)?;
                firing.input_row += slots.len();
                if firing.input_row < table.len() {
                    continue;
                }
            }
            firing.inputs.pop();
            firing.input_row = 0;
        }
        let single = firing.inputs.first().and_then(|id| self.tables.get(id));
        if let Some(table) = firing.merged.as_ref().or(single) {
            while firing.row < table.len() {
                if *budget == 0 {
                    return Ok(false);
                }
                *budget -= 1;
                let slots = self.plan.next_slots(firing.row, table.len());
                out.push(Batch::new(results(&self.plan, table, firing.end, &slots)?));
                firing.row += slots.len();
            }
            self.expected = table.len();
        }
        self.done = firing.end;
        self.firing = None;
        self.expire();
        Ok(true)
    }

    /// Drops the slices that no later window needs.
    fn expire(&mut self) {
        let (slices, done) = (self.plan.slices, self.done);
        let gone = |id: &&SliceId| slices.last_window(id.end) <= done;
        let ids: Vec<SliceId> = self.tables.keys().filter(gone).copied().collect();
        for id in ids {
            if let Some(keys) = self.tables.remove(&id).and_then(Table::tombstone) {
                self.tombstones.push(Tombstone { id, keys });
            }
        }
    }
}

/// Rows of a window's result.
fn results(
    plan: &Plan,
    table: &Table,
    end: EventTime,
    slots: &[u32],
) -> Result<RecordBatch, OperatorError> {
    let constant =
        |ms| Arc::new(TimestampMillisecondArray::from(vec![ms; slots.len()])) as ArrayRef;
    let mut columns = table.keys(slots)?;
    columns.extend(table.results(slots)?);
    columns.push(constant(plan.slices.window_start(end)));
    columns.push(constant(end));
    columns.push(constant(end.saturating_sub(1)));
    Ok(RecordBatch::try_new(Arc::clone(&plan.output), columns)?)
}

/// The slice of all rows, when it is the same.
fn common_slice(ends: &[i64], visible_from: &[i64]) -> Option<SliceId> {
    let id = SliceId {
        end: *ends.first()?,
        visible_from: *visible_from.first()?,
    };
    let same = ends.iter().fold(true, |all, &end| all & (end == id.end))
        && visible_from
            .iter()
            .fold(true, |all, &from| all & (from == id.visible_from));
    same.then_some(id)
}

impl Operator for Global {
    fn restore(&mut self, cx: &mut Context, state: Restored) -> Result<(), OperatorError> {
        self.done = state.watermark.map_or(EventTime::MIN, |w| w.0);
        self.target = self.done;
        self.tables = snapshot::restore(&self.plan, cx.key_groups, &state.segments)?;
        Ok(())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        _out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        let records = batch.records();
        let column = |at: usize| {
            records
                .columns()
                .get(at)
                .and_then(|c| c.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| OperatorError::ours("a partial result has no slice"))
        };
        let width = self.plan.keys.len();
        let (ends, visible): (&Int64Array, &Int64Array) = (column(width)?, column(width + 1)?);
        if let Some(id) = common_slice(ends.values(), visible.values()) {
            self.merge(cx, id, records)?;
        } else {
            let ids: Vec<SliceId> = ends
                .values()
                .iter()
                .zip(visible.values())
                .map(|(&end, &visible_from)| SliceId { visible_from, end })
                .collect();
            for (id, rows) in group(&ids) {
                let rows = UInt32Array::from(rows);
                let columns = records
                    .columns()
                    .iter()
                    .map(|c| take(c, &rows, None))
                    .collect::<Result<Vec<_>, _>>()?;
                self.merge(cx, id, &RecordBatch::try_new(records.schema(), columns)?)?;
            }
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.target = self.target.max(mark.0);
        self.fire(out)
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        self.fire(out)
    }

    fn on_barrier(
        &mut self,
        cx: &mut Context,
        request: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        let tables = self
            .tables
            .iter_mut()
            .filter_map(|(id, table)| table.freeze(request.full).map(|frozen| (*id, frozen)))
            .collect();
        let frozen = FrozenWindows {
            plan: Arc::clone(&self.plan),
            full: request.full,
            range: cx.key_groups,
            max_parallelism: cx.max_parallelism,
            tables,
            tombstones: std::mem::take(&mut self.tombstones),
        };
        Ok(Snapshot {
            keyed: Some(Box::new(frozen)),
            ..Snapshot::default()
        })
    }

    fn state_bytes(&self) -> usize {
        self.tables.values().map(Table::bytes).sum()
    }
}
