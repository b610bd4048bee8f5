//! The operator: a batch in, what it changes out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions,
    UInt32Array,
};
use arrow::datatypes::Int64Type;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, SpecError, Table, TableError};

use super::batch::{BatchGroups, keys_of, signed};
use super::changes::Results;
use super::plan::{Over, Plan, PlannedCall};
use super::spec::GroupAggregate;
use super::values::{Moved, Values};
use crate::aggregate::Accumulator;
use crate::operator::TableKeys;
use crate::operators::rows::{gone, now, take_all};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// `GROUP BY` without windows, of one subtask.
///
/// Its accumulators hold the groups of one batch alone: they begin with the groups' rows, merge
/// the batch, and the rows are written back.
#[derive(Debug)]
pub struct Group {
    plan: Plan,
    groups: Keyed,
    values: Vec<Values>,
    accumulators: Vec<Box<dyn Accumulator>>,
    batch: BatchGroups,
    slots: Vec<u32>,
}

impl Group {
    /// The operator with empty tables for these key groups.
    ///
    /// # Errors
    /// When types or functions do not fit together.
    pub fn new(spec: &GroupAggregate, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let wrong = |error: SpecError| OperatorError::user(error);
        let values = plan.sets.iter().map(|set| Values::new(set.table.clone(), groups));
        let calls = plan.calls.iter();
        Ok(Self {
            groups: Keyed::new(plan.groups.clone(), groups).map_err(wrong)?,
            values: values.collect::<Result<_, _>>().map_err(wrong)?,
            accumulators: calls
                .map(|planned| planned.call.aggregate().accumulator())
                .collect::<Result<_>>()?,
            batch: BatchGroups::default(),
            slots: Vec::new(),
            plan,
        })
    }

    /// Takes in rows, whose groups are in memory, at a time in seconds, by which state expires.
    /// Gives what they change.
    ///
    /// # Errors
    /// When rows go that may only come, or a column is not as planned.
    pub fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        self.apply(batch, now, true)
    }

    /// Takes in rows of whose changes nobody is told.
    pub(super) fn keep(&mut self, batch: &Batch, now: u32) -> Result<()> {
        self.apply(batch, now, false).map(drop)
    }

    fn apply(&mut self, batch: &Batch, now: u32, tells: bool) -> Result<Option<Batch>> {
        if self.plan.ttl.is_some() {
            self.tables().into_iter().for_each(|table| table.set_clock(now));
        }
        let gone = gone(batch, self.plan.input_rows)?;
        let keys = self.keys(batch.records());
        if self.plan.calls.is_empty() && !self.plan.counts_rows() {
            return self.add_keys(&keys, batch.num_rows());
        }
        self.resolve(&keys, batch.num_rows())?;
        let (batch, gone) = if self.plan.counts_rows() {
            self.batch.rows = self.rows_before()?;
            self.batch.count(batch, gone)?
        } else {
            (batch.clone(), None)
        };
        let keys = self.groups.keys(&self.batch.slots)?;
        self.load()?;
        let before = if tells { self.results()? } else { Vec::new() };
        let moved = self.move_values(&keys, batch.records(), gone.as_ref())?;
        for at in 0..self.plan.calls.len() {
            self.merge(at, &keys, batch.records(), gone.as_ref(), &moved)?;
        }
        let results = match tells {
            true => Some(Results { before, after: self.results()? }),
            false => None,
        };
        self.store()?;
        self.forget(&keys)?;
        let Some(results) = results else { return Ok(None) };
        results.changes(&self.plan, &self.batch, &keys)
    }

    pub(super) fn keys(&self, records: &RecordBatch) -> Vec<ArrayRef> {
        self.plan.keys.iter().map(|&k| Arc::clone(records.column(k))).collect()
    }

    /// Only keys, which never go: those that are new.
    fn add_keys(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Option<Batch>> {
        let mut slots = std::mem::take(&mut self.slots);
        self.groups.lookup(keys, rows, &mut slots)?;
        if self.plan.ttl.is_some() {
            self.groups.touch(&slots);
        }
        let new: UInt32Array =
            (0..).zip(&slots).filter(|(_, slot)| **slot == ABSENT).map(|(row, _)| row).collect();
        let keys = take_all(keys, &new)?;
        self.groups.resolve(&keys, new.len(), &mut slots)?;
        self.batch.number(&slots, &vec![false; slots.len()]);
        self.slots = slots;
        let keys = self.groups.keys(&self.batch.slots)?;
        let results = Results { before: Vec::new(), after: Vec::new() };
        results.changes(&self.plan, &self.batch, &keys)
    }

    /// Finds the groups of a batch, and makes rows for those that are new.
    fn resolve(&mut self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        self.groups.lookup(keys, rows, &mut self.slots)?;
        let known: Vec<bool> = self.slots.iter().map(|&slot| slot != ABSENT).collect();
        self.groups.resolve(keys, rows, &mut self.slots)?;
        self.batch.number(&self.slots, &known);
        Ok(())
    }

    /// How many rows each group of the batch had.
    fn rows_before(&self) -> Result<Vec<i64>> {
        let rows = self.groups.column::<i64>(0).map_err(TableError::from)?;
        Ok(self.batch.slots.iter().map(|&slot| rows.get(slot).unwrap_or_default()).collect())
    }

    /// Begins with the groups' rows.
    fn load(&mut self) -> Result<()> {
        let (all, before) = (self.batch.all(), self.batch.before());
        let slots = self.batch.slots_of(&before);
        for (planned, accumulator) in self.plan.calls.iter().zip(&mut self.accumulators) {
            accumulator.grow(all.len());
            accumulator.reset(&all);
            let columns = planned.columns.clone().map(|c| self.groups.read(c, &slots));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            accumulator.merge(&before, &columns)?;
        }
        Ok(())
    }

    /// The results of the groups that are there of these of the keys.
    pub(super) fn results_of(
        &mut self,
        keys: &[ArrayRef],
        rows: &UInt32Array,
    ) -> Result<Option<Batch>> {
        let keys = take_all(keys, rows)?;
        let mut slots = std::mem::take(&mut self.slots);
        self.groups.lookup(&keys, rows.len(), &mut slots)?;
        let there: UInt32Array =
            (0..).zip(&slots).filter(|(_, slot)| **slot != ABSENT).map(|(row, _)| row).collect();
        slots.retain(|&slot| slot != ABSENT);
        let known = vec![true; slots.len()];
        self.batch.number(&slots, &known);
        self.slots = slots;
        self.load()?;
        let columns = take_all(&keys, &there)?.into_iter().chain(self.results()?);
        let records = RecordBatch::try_new_with_options(
            Arc::clone(&self.plan.output),
            columns.collect(),
            &RecordBatchOptions::new().with_row_count(Some(there.len())),
        )?;
        Ok((!there.is_empty()).then(|| Batch::new(records)))
    }

    /// Forgets the groups of these of the keys.
    pub(super) fn forget_all(&mut self, keys: &[ArrayRef], rows: &UInt32Array) -> Result<()> {
        let keys = take_all(keys, rows)?;
        self.groups.lookup(&keys, rows.len(), &mut self.slots)?;
        self.slots.retain(|&slot| slot != ABSENT);
        self.groups.remove(&self.slots);
        self.values.iter_mut().try_for_each(|values| values.clear(&keys, rows.len()))
    }

    /// The rows of all tables of these keys.
    pub(super) fn named(&self, keys: &[ArrayRef], rows: usize) -> Vec<TableKeys> {
        let tables = 0..=self.values.len();
        tables.map(|table| TableKeys { table, keys: keys.to_vec(), rows }).collect()
    }

    fn results(&self) -> Result<Vec<ArrayRef>> {
        let all = self.batch.all();
        self.accumulators.iter().map(|accumulator| accumulator.finish(&all)).collect()
    }

    /// Takes the values of a batch into the tables that keep them.
    fn move_values(
        &mut self,
        keys: &[ArrayRef],
        records: &RecordBatch,
        gone: Option<&BooleanArray>,
    ) -> Result<Vec<Moved>> {
        let numbers = &self.batch.numbers;
        let sets = self.plan.sets.iter().zip(&mut self.values);
        let moved = sets.map(|(set, values)| {
            let argument = self.plan.calls[set.call].call.argument(records)?;
            let argument =
                argument.ok_or_else(|| OperatorError::internal("a set has no argument"))?;
            values.take_in(keys, numbers, &argument, gone)
        });
        moved.collect()
    }

    /// Merges a batch into one aggregate.
    fn merge(
        &mut self,
        at: usize,
        keys: &[ArrayRef],
        records: &RecordBatch,
        gone: Option<&BooleanArray>,
        moved: &[Moved],
    ) -> Result<()> {
        let PlannedCall { call, over, .. } = &self.plan.calls[at];
        let (aggregate, accumulator) = (call.aggregate(), &mut self.accumulators[at]);
        match *over {
            Over::Rows => {
                let partial = signed(aggregate, call.partial(records)?, gone)?;
                accumulator.merge(&self.batch.numbers, &partial)
            }
            Over::Set(set) => {
                let Moved { groups, values, gone } = &moved[set];
                let partial = aggregate.partial(Some(values), values.len())?;
                let partial = if gone.true_count() > 0 {
                    signed(aggregate, partial, Some(gone))?
                } else {
                    partial
                };
                accumulator.merge(groups, &partial)
            }
            Over::Picked(set, pick) => {
                let Moved { groups, values, gone } = &moved[set];
                let partial = aggregate.partial(Some(values), values.len())?;
                let came: UInt32Array =
                    (0..gone.len() as u32).filter(|&row| !gone.value(row as usize)).collect();
                let owners: Vec<u32> =
                    came.values().iter().map(|&row| groups[row as usize]).collect();
                accumulator.merge(&owners, &take_all(&partial, &came)?)?;
                let mut lost: Vec<u32> = groups
                    .iter()
                    .zip(gone.values())
                    .filter(|(_, gone)| *gone)
                    .map(|(group, _)| *group)
                    .collect();
                lost.sort_unstable();
                lost.dedup();
                if lost.is_empty() {
                    return Ok(());
                }
                let picked = self.values[set].pick(&keys_of(keys, &lost)?, lost.len(), pick)?;
                accumulator.reset(&lost);
                accumulator.merge(&lost, &aggregate.partial(Some(&picked), lost.len())?)
            }
        }
    }

    /// Writes the groups' rows back.
    fn store(&mut self) -> Result<()> {
        let after = self.batch.after();
        let slots = self.batch.slots_of(&after);
        if self.plan.counts_rows() {
            let rows = after.iter().map(|&group| self.batch.rows[group as usize]);
            let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
            debug_assert!(rows.as_primitive::<Int64Type>().values().iter().all(|&rows| rows > 0));
            self.groups.write(0, &slots, &rows)?;
        }
        for (planned, accumulator) in self.plan.calls.iter().zip(&self.accumulators) {
            for (column, values) in planned.columns.clone().zip(accumulator.export(&after)?) {
                self.groups.write(column, &slots, &values)?;
            }
        }
        Ok(())
    }

    /// Forgets the groups that have no rows.
    fn forget(&mut self, keys: &[ArrayRef]) -> Result<()> {
        let groups = self.batch.all().into_iter();
        let empty: Vec<u32> = groups.filter(|&g| !self.batch.is_there(g as usize)).collect();
        if empty.is_empty() {
            return Ok(());
        }
        self.groups.remove(&self.batch.slots_of(&empty));
        let keys = keys_of(keys, &empty)?;
        self.values.iter_mut().try_for_each(|values| values.clear(&keys, empty.len()))
    }
}

impl Operator for Group {
    /// The groups, then their values.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let values = self.values.iter_mut().map(|values| &mut values.table as &mut dyn Table);
        std::iter::once(&mut self.groups as &mut dyn Table).chain(values).collect()
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        Ok(self.named(&self.keys(batch.records()), batch.num_rows()))
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(changes) = self.take_in(&batch, now(cx))? {
            out.push(changes);
        }
        Ok(Progress::Done)
    }

    fn state_bytes(&self) -> usize {
        self.accumulators.iter().map(|a| a.bytes()).sum::<usize>() + self.batch.bytes()
    }
}
