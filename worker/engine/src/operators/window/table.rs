//! The groups of one slice: keys and, per aggregate, a column of state.

use arrow::array::{ArrayRef, UInt64Array};
use weir_state::dirty::Dirty;
use weir_state::hash::hash_columns;
use weir_state::key_table::{FrozenKeys, KeyTable};

use super::plan::Plan;
use crate::OperatorError;
use crate::aggregate::call::Call;
use crate::aggregate::{Accumulator, Export};

/// Groups and their state.
#[derive(Debug)]
pub(super) struct Table {
    keys: KeyTable,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Columns of partial results per accumulator.
    widths: Vec<usize>,
    dirty: Dirty,
    /// Whether some of it is part of a snapshot.
    persisted: bool,
}

/// A table's groups that a snapshot writes.
pub(super) struct FrozenTable {
    pub(super) keys: FrozenKeys,
    exports: Vec<Box<dyn Export>>,
    dirty: Option<Dirty>,
}

impl Table {
    pub(super) fn new(plan: &Plan, capacity: usize) -> Result<Self, OperatorError> {
        Self::of(plan, &plan.calls.iter().collect::<Vec<_>>(), capacity)
    }

    /// A table that also counts the rows behind each group.
    pub(super) fn counting(plan: &Plan, capacity: usize) -> Result<Self, OperatorError> {
        let calls: Vec<_> = plan.calls.iter().chain(&plan.counting).collect();
        Self::of(plan, &calls, capacity)
    }

    fn of(plan: &Plan, calls: &[&Call], capacity: usize) -> Result<Self, OperatorError> {
        Ok(Self {
            keys: KeyTable::with_capacity(&plan.key_types, capacity)
                .map_err(OperatorError::user)?,
            accumulators: calls
                .iter()
                .map(|call| call.aggregate().accumulator())
                .collect::<Result<_, _>>()?,
            widths: calls.iter().map(|call| call.aggregate().state().len()).collect(),
            dirty: Dirty::default(),
            persisted: false,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Hashes of the keys of every `step`th group, beginning with number `from`.
    pub(super) fn hashes(&self, from: usize, step: usize) -> Result<UInt64Array, OperatorError> {
        let slots: Vec<u32> = (from as u32..self.keys.len() as u32).step_by(step).collect();
        let keys = self.keys.keys(&slots).map_err(OperatorError::internal)?;
        Ok(hash_columns(&keys, slots.len()))
    }

    /// Merges rows of partial results; `slots` is scratch.
    pub(super) fn merge(
        &mut self,
        keys: &[ArrayRef],
        partial: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        self.resolve(keys, rows, slots)?;
        self.dirty.mark(slots);
        self.merge_slots(partial, slots)
    }

    /// Takes over stored groups: what they held before is replaced.
    pub(super) fn restore(
        &mut self,
        keys: &[ArrayRef],
        partial: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        self.resolve(keys, rows, slots)?;
        for accumulator in &mut self.accumulators {
            accumulator.reset(slots);
        }
        self.merge_slots(partial, slots)
    }

    /// After the last [`Table::restore`]: nothing has changed since the snapshot.
    pub(super) fn restored(&mut self) {
        self.persisted = true;
        let _ = self.dirty.freeze(self.keys.len());
        for accumulator in &mut self.accumulators {
            drop(accumulator.freeze(false));
        }
    }

    fn resolve(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let before = self.keys.len();
        self.keys.resolve(keys, rows, slots).map_err(OperatorError::internal)?;
        if self.keys.len() > before {
            for accumulator in &mut self.accumulators {
                accumulator.grow(self.keys.len());
            }
        }
        Ok(())
    }

    fn merge_slots(&mut self, partial: &[ArrayRef], slots: &[u32]) -> Result<(), OperatorError> {
        let mut at = 0;
        for (accumulator, width) in self.accumulators.iter_mut().zip(&self.widths) {
            let columns = partial
                .get(at..at + width)
                .ok_or_else(|| OperatorError::internal("a partial result lacks columns"))?;
            accumulator.merge(slots, columns)?;
            at += width;
        }
        Ok(())
    }

    /// The keys in `slots`.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.keys.keys(slots).map_err(OperatorError::internal)
    }

    /// Partial results of `slots`.
    pub(super) fn partial(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = Vec::new();
        for accumulator in &self.accumulators {
            columns.extend(accumulator.export(slots)?);
        }
        Ok(columns)
    }

    /// Results of `slots`.
    pub(super) fn results(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.accumulators.iter().map(|a| a.finish(slots)).collect()
    }

    /// What changed since the last freeze, or everything; `None` when that is nothing.
    pub(super) fn freeze(&mut self, full: bool) -> Option<FrozenTable> {
        let len = self.keys.len();
        if len == 0 || !(full || self.dirty.any(len)) {
            return None;
        }
        self.persisted = true;
        let dirty = self.dirty.freeze(len);
        Some(FrozenTable {
            keys: self.keys.freeze(),
            exports: self.accumulators.iter_mut().map(|a| a.freeze(full)).collect(),
            dirty: (!full).then_some(dirty),
        })
    }

    /// The keys of a table that goes, when a snapshot knows it.
    pub(super) fn tombstone(mut self) -> Option<FrozenKeys> {
        self.persisted.then(|| self.keys.freeze())
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes()
            + self.dirty.bytes()
            + self.accumulators.iter().map(|a| a.bytes()).sum::<usize>()
    }
}

impl FrozenTable {
    /// The slots that are written.
    pub(super) fn slots(&self) -> Vec<u32> {
        match &self.dirty {
            Some(dirty) => dirty.slots(self.keys.len()),
            None => (0..self.keys.len() as u32).collect(),
        }
    }

    /// Their state.
    pub(super) fn partial(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = Vec::new();
        for export in &self.exports {
            columns.extend(export.export(slots)?);
        }
        Ok(columns)
    }
}
