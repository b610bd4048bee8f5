//! The global half: merges partial results per slice, fires windows, keeps the state.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use weir_protocol::{Counter, KeyGroup, KeyGroupRange};
use weir_state::hash::hash_columns;

use super::local::group;
use super::plan::Plan;
use super::slices::SliceId;
use super::snapshot::{self, FrozenWindows, Tombstone};
use super::spans::{Merge, Part, Spans};
use super::table::Table;
use crate::operator::{Restored, SnapshotRequest};
use crate::operators::passed::done_of;
use crate::{
    Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Snapshot, Watermark,
};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Batches merged or given out per call.
const BATCHES: usize = 4;

/// The operator.
pub(super) struct Global {
    plan: Arc<Plan>,
    tables: BTreeMap<SliceId, Table>,
    spans: Spans,
    /// Windows that end here or before are complete.
    done: EventTime,
    /// Key groups whose windows were given out further than that before a restore.
    ahead: Vec<(KeyGroupRange, Watermark)>,
    /// The watermark whose windows are being fired.
    target: EventTime,
    firing: Option<Firing>,
    /// Slices that a snapshot knows and that are gone since.
    tombstones: Vec<Tombstone>,
    /// Groups of the last slice and of the last window: room that new ones are given.
    slice_groups: usize,
    window_groups: usize,
    slots: Vec<u32>,
}

/// A window on its way out.
struct Firing {
    end: EventTime,
    /// What is merged first, the next one last.
    merges: Vec<Merge>,
    /// The row of the current part to go on merging with.
    part_row: usize,
    /// What the current merge has given so far.
    merged: Option<Table>,
    /// Once nothing is left to merge: what is given out, and the row to go on with.
    result: Option<Fired>,
    row: usize,
}

/// A window's groups.
enum Fired {
    Merged(Box<Table>),
    /// A single part, given out as it is.
    Part(Part),
}

impl Global {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            tables: BTreeMap::new(),
            spans: Spans::default(),
            done: EventTime::MIN,
            ahead: Vec::new(),
            target: EventTime::MIN,
            firing: None,
            tombstones: Vec::new(),
            slice_groups: 0,
            window_groups: 0,
            slots: Vec::new(),
        }
    }

    /// Merges partial results of any slices, for which windows up to `done` were given out.
    fn take_in(&mut self, cx: &Context, records: &RecordBatch, done: EventTime) -> Result<()> {
        let width = self.plan.keys.len();
        let (ends, visible) = (column(records, width)?, column(records, width + 1)?);
        if let Some(id) = common_slice(ends.values(), visible.values()) {
            return self.merge(cx, id, records, done);
        }
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
            self.merge(cx, id, &RecordBatch::try_new(records.schema(), columns)?, done)?;
        }
        Ok(())
    }

    /// Rows by how far the windows of their key groups were given out.
    fn by_done(&self, cx: &Context, batch: &Batch) -> BTreeMap<EventTime, Vec<u32>> {
        let keys = &batch.records().columns()[..self.plan.keys.len()];
        let hashes = hash_columns(keys, batch.num_rows());
        let mut rows: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        for (row, &hash) in hashes.values().iter().enumerate() {
            let group = KeyGroup::of_hash(hash, cx.max_parallelism);
            let done = done_of(group, self.done, &self.ahead);
            rows.entry(done).or_default().push(row as u32);
        }
        rows
    }

    /// Merges partial results of one slice. None of the windows is open when every other input
    /// was ahead of an idle one that came back; the rows behind the results are late then.
    fn merge(
        &mut self,
        cx: &Context,
        id: SliceId,
        records: &RecordBatch,
        done: EventTime,
    ) -> Result<()> {
        let columns = records.columns();
        let Some(visible_from) = self.plan.slices.next_window(id, done) else {
            let rows = column(records, self.plan.rows_at)?;
            cx.metrics.add(Counter::Late, rows.values().iter().sum::<i64>() as usize);
            return Ok(());
        };
        let table = match self.tables.entry(SliceId { visible_from, end: id.end }) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Table::new(&self.plan, self.slice_groups)?),
        };
        let keys = &columns[..self.plan.keys.len()];
        let partial = &columns[self.plan.partials()];
        table.merge(keys, partial, records.num_rows(), &mut self.slots)
    }

    /// Goes on with the windows up to `target`, in order, a few batches per call.
    fn fire(&mut self, out: &mut Output) -> Result<Progress> {
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
        let mut merges = self.spans.merges(&self.plan, &self.tables, end);
        merges.reverse();
        Firing { end, merges, part_row: 0, merged: None, result: None, row: 0 }
    }

    /// Works on the open window; `true` when it is finished, `false` when the budget is.
    fn advance(&mut self, budget: &mut usize, out: &mut Output) -> Result<bool> {
        let Some(mut firing) = self.firing.take() else {
            return Ok(true);
        };
        let finished =
            self.merge_parts(&mut firing, budget)? && self.give_out(&mut firing, budget, out)?;
        if !finished {
            self.firing = Some(firing);
            return Ok(false);
        }
        let slice = self.tables.get(&SliceId::plain(firing.end));
        self.slice_groups = slice.map_or(self.slice_groups, Table::len);
        self.done = firing.end;
        self.expire();
        Ok(true)
    }

    fn table(&self, part: Part) -> Option<&Table> {
        match part {
            Part::Slice(id) => self.tables.get(&id),
            Part::Span(span) => self.spans.get(span),
        }
    }

    fn merge_parts(&mut self, firing: &mut Firing, budget: &mut usize) -> Result<bool> {
        while let Some(merge) = firing.merges.last_mut() {
            if let (None, None, [part]) = (merge.into, &firing.merged, merge.parts.as_slice()) {
                firing.result = Some(Fired::Part(*part));
                firing.merges.pop();
                continue;
            }
            let mut merged = match firing.merged.take() {
                Some(merged) => merged,
                None if merge.into.is_none() => Table::new(&self.plan, self.window_groups)?,
                None => Table::new(&self.plan, self.slice_groups)?,
            };
            while let Some(&part) = merge.parts.last() {
                if *budget == 0 {
                    firing.merged = Some(merged);
                    return Ok(false);
                }
                *budget -= 1;
                if let Some(table) = self.table(part) {
                    let slots = self.plan.next_slots(firing.part_row, table.len());
                    let (keys, partial) = (table.keys(&slots)?, table.partial(&slots)?);
                    firing.part_row += slots.len();
                    let rest = firing.part_row < table.len();
                    merged.merge(&keys, &partial, slots.len(), &mut self.slots)?;
                    if rest {
                        continue;
                    }
                }
                merge.parts.pop();
                firing.part_row = 0;
            }
            match merge.into {
                Some(span) => self.spans.insert(span, merged),
                None => firing.result = Some(Fired::Merged(Box::new(merged))),
            }
            firing.merges.pop();
        }
        Ok(true)
    }

    fn give_out(
        &mut self,
        firing: &mut Firing,
        budget: &mut usize,
        out: &mut Output,
    ) -> Result<bool> {
        let table = match &firing.result {
            Some(Fired::Merged(table)) => Some(table.as_ref()),
            Some(Fired::Part(part)) => self.table(*part),
            None => None,
        };
        let Some(table) = table else { return Ok(true) };
        while firing.row < table.len() {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let slots = self.plan.next_slots(firing.row, table.len());
            out.push(Batch::new(results(&self.plan, table, firing.end, &slots)?));
            firing.row += slots.len();
        }
        self.window_groups = table.len();
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
        self.spans.expire(&self.plan, done);
    }
}

/// Rows of a window's result.
fn results(plan: &Plan, table: &Table, end: EventTime, slots: &[u32]) -> Result<RecordBatch> {
    let constant =
        |ms| Arc::new(TimestampMillisecondArray::from(vec![ms; slots.len()])) as ArrayRef;
    let mut columns = table.keys(slots)?;
    columns.extend(table.results(slots)?);
    columns.push(constant(plan.slices.window_start(end)));
    columns.push(constant(end));
    columns.push(constant(end.saturating_sub(1)));
    Ok(RecordBatch::try_new(Arc::clone(&plan.output), columns)?)
}

/// A column that tells of a partial result: its slice, or the number of its rows.
fn column(records: &RecordBatch, at: usize) -> Result<&Int64Array> {
    let column = records.columns().get(at).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.ok_or_else(|| OperatorError::internal("a partial result lacks its slice or its rows"))
}

/// The slice of all rows, when it is the same.
fn common_slice(ends: &[i64], visible_from: &[i64]) -> Option<SliceId> {
    let id = SliceId { end: *ends.first()?, visible_from: *visible_from.first()? };
    let same = ends.iter().fold(true, |all, &end| all & (end == id.end))
        && visible_from.iter().fold(true, |all, &from| all & (from == id.visible_from));
    same.then_some(id)
}

impl Operator for Global {
    fn restore(&mut self, cx: &mut Context, state: Restored) -> Result<()> {
        self.done = state.watermark.map_or(EventTime::MIN, |w| w.0);
        self.target = self.done;
        self.ahead = state.ahead;
        let (plan, segments) = (&self.plan, &state.segments);
        let stored = snapshot::restore(plan, cx.key_groups, segments, self.done, &self.ahead)?;
        self.tables = stored.tables;
        self.tombstones = stored.tombstones;
        Ok(())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        _out: &mut Output,
    ) -> Result<Progress> {
        let done = self.done;
        self.ahead.retain(|(_, mark)| mark.0 > done);
        if self.ahead.is_empty() {
            self.take_in(cx, batch.records(), done)?;
        } else {
            for (done, rows) in self.by_done(cx, &batch) {
                self.take_in(cx, batch.take(&rows.into())?.records(), done)?;
            }
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        out: &mut Output,
    ) -> Result<Progress> {
        self.target = self.target.max(mark.0);
        self.fire(out)
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        self.fire(out)
    }

    fn on_barrier(&mut self, cx: &mut Context, request: SnapshotRequest) -> Result<Snapshot> {
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
        Ok(Snapshot { keyed: Some(Box::new(frozen)), ..Snapshot::default() })
    }

    fn count_keys(&self, most: usize, count: &mut dyn FnMut(&[u64], u64)) -> Result<()> {
        let all: usize = self.tables.values().map(Table::len).sum();
        let step = all.div_ceil(most.max(1)).max(1);
        // One walk over all of them: many small tables have no more said of them than one large.
        let mut from = 0;
        for table in self.tables.values() {
            let rows = table.len();
            if from < rows {
                count(table.hashes(from, step)?.values(), step as u64);
                from += (rows - from).div_ceil(step) * step;
            }
            from -= rows;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.tables.values().map(Table::bytes).sum::<usize>() + self.spans.bytes()
    }
}
