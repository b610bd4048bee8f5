//! The operator: rows wait for the watermark, and leave with their results.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use weir_protocol::Counter;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Ordered, Scan, Table, TableError};

use super::compute::{Known, results};
use super::plan::{GROUPS, LAST, Plan, ROWS};
use super::sequence::Sequence;
use super::spec::Over;
use crate::aggregate::InputRows;
use crate::operator::{OutputTag, TableKeys};
use crate::operators::due::Due;
use crate::operators::rows::{BatchKeys, gone, now, take_all};
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Keys whose rows leave together.
const KEYS: usize = 1_024;
/// Rows of a batch that is given out.
const BATCH: usize = 8_192;
/// Rows that are looked at together.
const LOOK: usize = 256;

/// `OVER`, of one subtask.
#[derive(Debug)]
pub(super) struct OverRows {
    plan: Plan,
    rows: Ordered,
    known: Keyed,
    due: Due,
    /// The last time that the watermark has passed.
    passed: EventTime,
}

impl OverRows {
    pub(super) fn new(spec: &Over, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        Ok(Self {
            rows: Ordered::new(plan.layout.rows.clone(), groups).map_err(OperatorError::user)?,
            known: Keyed::new(plan.known.clone(), groups).map_err(OperatorError::user)?,
            due: Due::new(plan.layout.due.clone(), groups, KEYS)?,
            passed: EventTime::MIN,
            plan,
        })
    }

    /// Rows in memory, for tests.
    #[cfg(test)]
    pub(super) fn rows_kept(&self) -> usize {
        self.rows.all().count()
    }

    /// Gives out everything up to a time, for tests.
    #[cfg(test)]
    pub(super) fn pass(&mut self, time: EventTime) -> Result<()> {
        self.passed = time;
        while self.due.next(time)?.is_some() {
            self.step(&mut Output::default())?;
        }
        Ok(())
    }

    /// Takes in rows, whose keys are in memory; gives those that are late.
    pub(super) fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        if self.plan.spec.ttl.is_some() {
            self.known.set_clock(now);
        }
        gone(batch, InputRows::Appended)?;
        let keys = BatchKeys::number(&self.plan.layout.keys(batch), batch.num_rows())?;
        let late = self.late(batch, &keys)?;
        let wait: UInt32Array =
            (0..).zip(&late).filter(|(_, late)| !**late).map(|(row, _)| row).collect();
        if !wait.is_empty() {
            self.plan.layout.put(&mut self.rows, &mut self.due.timers, batch, &keys, &wait)?;
        }
        if wait.len() == late.len() {
            return Ok(None);
        }
        Ok(Some(batch.filter(BooleanArray::from(late).values())?))
    }

    /// Per key the last time whose rows have left.
    fn last(&mut self, keys: &[ArrayRef], len: usize) -> Result<(Vec<u32>, Vec<EventTime>)> {
        let mut slots = Vec::new();
        self.known.lookup(keys, len, &mut slots)?;
        let last = self.known.column::<i64>(LAST).map_err(weir_state::table::TableError::from)?;
        let of = |&slot: &u32| if slot == ABSENT { None } else { last.get(slot) };
        let last = slots.iter().map(|slot| of(slot).unwrap_or(EventTime::MIN)).collect();
        Ok((slots, last))
    }

    /// Which rows of a batch are late.
    fn late(&mut self, batch: &Batch, keys: &BatchKeys) -> Result<Vec<bool>> {
        let times = self.plan.layout.times(batch)?;
        let (_, last) = self.last(&keys.keys, keys.len)?;
        let mut late: Vec<bool> =
            times.iter().zip(&keys.numbers).map(|(t, key)| *t <= last[*key as usize]).collect();
        let Some(behind) = batch.behind() else { return Ok(late) };
        if !self.plan.bounded {
            // All rows that the split's watermark had passed were given out.
            late.iter_mut().enumerate().for_each(|(row, late)| *late |= behind.is_valid(row));
            return Ok(late);
        }
        let mut slots = Vec::new();
        self.rows.lookup(&keys.keys, keys.len, &mut slots)?;
        // Rows of the batch by key, each with the time at which a watermark gives it out.
        let mut before: BTreeMap<u32, Vec<(EventTime, EventTime)>> = BTreeMap::new();
        let mut stored = BTreeMap::new();
        for (row, late) in late.iter_mut().enumerate() {
            if *late {
                continue;
            }
            let (time, key) = (times[row], keys.numbers[row]);
            let mark = behind.is_valid(row).then(|| behind.value(row));
            let own = before.entry(key).or_default();
            if let Some(mark) = mark {
                // A row of the key was given out that is not earlier.
                let given = match stored.entry((key, mark)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(place) => {
                        *place.insert(self.last_given(slots[key as usize], mark)?)
                    }
                };
                *late = given.is_some_and(|given| given >= time)
                    || own.iter().any(|&(other, leaves)| other >= time && leaves < mark);
            }
            if !*late {
                own.push((time, mark.unwrap_or(time)));
            }
        }
        Ok(late)
    }

    /// The last event time of a key's rows that a watermark gives out: those that it has passed but
    /// rows that were behind it themselves, which wait for the next one.
    fn last_given(&self, key: u32, mark: EventTime) -> Result<Option<EventTime>> {
        if key == ABSENT {
            return Ok(None);
        }
        let field = self.plan.layout.rows.order_fields().first().map(|f| f.field.data_type.clone());
        let time: ArrayRef = Arc::new(Int64Array::from(vec![mark]));
        let time = arrow::compute::cast(&time, &field.unwrap_or(DataType::Null))?;
        let edges = self.rows.edges(&[time], 1)?;
        let (Some(edge), Some(column)) = (edges.first(), self.plan.layout.behind) else {
            return Ok(None);
        };
        let behind = self.rows.column::<i64>(column).map_err(TableError::from)?;
        let (mut scan, mut found) = (Scan::all(key).before(edge).backward(), Vec::new());
        let mut more = true;
        while more {
            found.clear();
            more = self.rows.scan(&mut scan, LOOK, &mut found);
            let given = |slot: &u32| behind.get(*slot).is_none_or(|own| own < mark);
            if let Some(slot) = found.iter().copied().find(given) {
                let orders = self.rows.orders(&[slot])?;
                let times = orders.first().map(|c| c.as_primitive::<TimestampMillisecondType>());
                return Ok(times.map(|times| times.value(0)));
            }
        }
        Ok(None)
    }

    /// Gives out the rows of the keys that are due, which are in memory.
    fn step(&mut self, out: &mut Output) -> Result<()> {
        match self.due.take() {
            Some(due) => self.give(&due.keys, due.len(), out),
            None => Ok(()),
        }
    }

    /// Gives out the rows of keys that the watermark has passed.
    fn give(&mut self, keys: &[ArrayRef], len: usize, out: &mut Output) -> Result<()> {
        // A key may have been due several times.
        let keys = BatchKeys::number(keys, len)?;
        let (keys, len) = (keys.keys, keys.len);
        let (known_slots, last) = self.last(&keys, len)?;
        let mut slots = Vec::new();
        self.rows.lookup(&keys, len, &mut slots)?;
        let rows = Sequence::read(&self.plan, &self.rows, &slots, &last, self.passed)?;
        let (mut again, mut times) = (Vec::new(), Vec::new());
        for (key, span) in (0..).zip(&rows.spans) {
            if let Some(next) = span.next {
                again.push(key);
                times.push(next);
            }
        }
        self.due
            .timers
            .set(&take_all(&keys, &UInt32Array::from(again))?, &Int64Array::from(times))?;
        if rows.len() == 0 {
            return Ok(());
        }
        let known = self.known(&known_slots)?;
        let mut after = self.counted(&rows, &known, &last);
        let mut columns = Vec::new();
        for planned in &self.plan.calls {
            columns.push(results(planned, &rows, &known, &mut after)?);
        }
        self.remember(&keys, &rows, &after)?;
        let leaving: Vec<usize> = rows.leaving().collect();
        let records = rows.take(&leaving)?;
        let columns = records.columns().iter().cloned().chain(columns).collect();
        let records = RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?;
        for from in (0..records.num_rows()).step_by(BATCH) {
            let length = BATCH.min(records.num_rows() - from);
            out.push(Batch::new(records.slice(from, length)));
        }
        self.forget(&rows);
        Ok(())
    }

    /// What is known of keys in these slots.
    fn known(&self, slots: &[u32]) -> Result<Known> {
        let there: Vec<u32> = slots.iter().copied().filter(|slot| *slot != ABSENT).collect();
        let mut at = 0;
        let place: UInt32Array = slots
            .iter()
            .map(|slot| {
                (*slot != ABSENT).then(|| {
                    at += 1;
                    at - 1
                })
            })
            .collect();
        let columns = (0..self.plan.known.columns.len())
            .map(|column| Ok(take(&self.known.read(column, &there)?, &place, None)?));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let numbers = |at: usize| {
            let numbers = columns[at].as_primitive::<Int64Type>();
            (0..numbers.len()).map(|row| if numbers.is_valid(row) { numbers.value(row) } else { 0 })
        };
        Ok(Known {
            is_there: slots.iter().map(|slot| *slot != ABSENT).collect(),
            rows: numbers(ROWS).collect(),
            groups: numbers(GROUPS).collect(),
            columns,
        })
    }

    /// The columns of what is known behind rows that leave; those of functions still as before.
    fn counted(&self, rows: &Sequence, known: &Known, last: &[EventTime]) -> Vec<ArrayRef> {
        let (mut lasts, mut counts, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for (key, span) in rows.spans.iter().enumerate() {
            let leaving = span.leaving..span.end;
            lasts.push(leaving.clone().next_back().map_or(last[key], |row| rows.times[row]));
            counts.push(known.rows[key] + leaving.len() as i64);
            let new = leaving.filter(|&row| rows.equal[row].0 == row).count();
            groups.push(known.groups[key] + new as i64);
        }
        let mut after = known.columns.clone();
        for (at, values) in [(LAST, lasts), (ROWS, counts), (GROUPS, groups)] {
            after[at] = Arc::new(Int64Array::from(values));
        }
        after
    }

    /// Writes down what is known of keys whose rows leave.
    fn remember(&mut self, keys: &[ArrayRef], rows: &Sequence, after: &[ArrayRef]) -> Result<()> {
        let changed = (0..).zip(&rows.spans).filter(|(_, span)| span.leaving < span.end);
        let changed: UInt32Array = changed.map(|(key, _)| key).collect();
        let mut slots = Vec::new();
        self.known.resolve(&take_all(keys, &changed)?, changed.len(), &mut slots)?;
        for (column, values) in after.iter().enumerate() {
            self.known.write(column, &slots, &take(values, &changed, None)?)?;
        }
        Ok(())
    }

    /// Forgets rows that have left and that no frame reaches back to.
    fn forget(&mut self, rows: &Sequence) {
        let mut gone = Vec::new();
        for span in &rows.spans {
            let Some(last) = (span.start..span.end).next_back().map(|row| rows.times[row]) else {
                continue;
            };
            for row in span.start..span.end {
                let by_rows = span.end - row <= self.plan.rows_back;
                let reaches = |back: i64| rows.times[row] >= last.saturating_sub(back);
                if !by_rows && !self.plan.time_back.is_some_and(reaches) {
                    gone.push(rows.slots[row]);
                }
            }
        }
        self.rows.remove_slots(&gone);
    }
}

impl Operator for OverRows {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows, &mut self.known, &mut self.due.timers]
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        let (keys, rows) = (self.plan.layout.keys(batch), batch.num_rows());
        Ok([0, 1].map(|table| TableKeys { table, keys: keys.clone(), rows }).into())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(late) = self.take_in(&batch, now(cx))? {
            cx.metrics.add(Counter::Late, late.num_rows());
            out.push_to(OutputTag::Late, late);
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress> {
        self.passed = self.passed.max(mark.last_passed());
        Ok(self.due.progress(self.passed))
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>> {
        self.due.named(self.passed, [0, 1])
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        self.step(out)?;
        Ok(self.due.progress(self.passed))
    }
}
