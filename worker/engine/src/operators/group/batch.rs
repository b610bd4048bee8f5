//! A batch, seen as groups: which there are, which rows are theirs, which rows count.

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::kernels::zip::zip;
use weir_state::key_table::ABSENT;

use crate::aggregate::Aggregate;
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError};

/// The groups of a batch, numbered in the order of their first rows.
#[derive(Debug, Default)]
pub(in crate::operators) struct BatchGroups {
    /// Per row the number of its group.
    pub(in crate::operators) numbers: Vec<u32>,
    /// Per group its slot.
    pub(in crate::operators) slots: Vec<u32>,
    /// Per group whether it was there before.
    pub(in crate::operators) known: Vec<bool>,
    /// Per group the number of its rows, where they are counted.
    pub(super) rows: Vec<i64>,
    /// Per slot the number of its group; [`ABSENT`] between batches.
    number_of: Vec<u32>,
}

impl BatchGroups {
    /// Numbers the groups of a batch: `slots` and `known` are per row.
    pub(in crate::operators) fn number(&mut self, slots: &[u32], known: &[bool]) {
        self.numbers.clear();
        self.slots.clear();
        self.known.clear();
        self.rows.clear();
        let highest = slots.iter().max().map_or(0, |&slot| slot as usize + 1);
        if self.number_of.len() < highest {
            self.number_of.resize(highest, ABSENT);
        }
        for (&slot, &known) in slots.iter().zip(known) {
            let number = &mut self.number_of[slot as usize];
            if *number == ABSENT {
                *number = self.slots.len() as u32;
                self.slots.push(slot);
                self.known.push(known);
            }
            self.numbers.push(*number);
        }
        for &slot in &self.slots {
            self.number_of[slot as usize] = ABSENT;
        }
    }

    pub(in crate::operators) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of all groups.
    pub(super) fn all(&self) -> Vec<u32> {
        (0..self.slots.len() as u32).collect()
    }

    /// The numbers of the groups that were there before.
    pub(super) fn before(&self) -> Vec<u32> {
        self.all().into_iter().filter(|&group| self.known[group as usize]).collect()
    }

    /// The numbers of the groups that are there now.
    pub(super) fn after(&self) -> Vec<u32> {
        self.all().into_iter().filter(|&group| self.is_there(group as usize)).collect()
    }

    /// Whether the group has rows.
    pub(super) fn is_there(&self, group: usize) -> bool {
        self.rows.get(group).is_none_or(|&rows| rows > 0)
    }

    pub(super) fn slots_of(&self, groups: &[u32]) -> Vec<u32> {
        groups.iter().map(|&group| self.slots[group as usize]).collect()
    }

    /// Counts the batch's rows into [`BatchGroups::rows`], which holds what was there before.
    /// Leaves rows that go out of groups without rows, and gives the others of the batch.
    pub(super) fn count(
        &mut self,
        batch: &Batch,
        gone: Option<BooleanArray>,
    ) -> Result<(Batch, Option<BooleanArray>), OperatorError> {
        let mut left_out = false;
        let mut counted = Vec::with_capacity(self.numbers.len());
        for (row, &number) in self.numbers.iter().enumerate() {
            let rows = &mut self.rows[number as usize];
            let by = if gone.as_ref().is_some_and(|gone| gone.value(row)) { -1 } else { 1 };
            if *rows + by < 0 {
                left_out = true;
            } else {
                *rows += by;
                counted.push(row as u32);
            }
        }
        let (Some(gone), true) = (&gone, left_out) else {
            return Ok((batch.clone(), gone));
        };
        self.numbers = counted.iter().map(|&row| self.numbers[row as usize]).collect();
        let gone = counted.iter().map(|&row| Some(gone.value(row as usize))).collect();
        Ok((batch.take(&UInt32Array::from(counted))?, Some(gone)))
    }

    pub(in crate::operators) fn bytes(&self) -> usize {
        self.number_of.capacity() * size_of::<u32>()
    }
}

/// The columns of an aggregate's partial results, each negated where its row goes.
pub(in crate::operators) fn signed(
    aggregate: &dyn Aggregate,
    partial: Vec<ArrayRef>,
    gone: Option<&BooleanArray>,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let Some(gone) = gone else { return Ok(partial) };
    let negated = aggregate.negated(&partial)?;
    let pairs = negated.iter().zip(&partial);
    pairs.map(|(taken, added)| Ok(zip(gone, taken, added)?)).collect()
}

/// These groups' keys.
pub(super) fn keys_of(keys: &[ArrayRef], groups: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
    take_all(keys, &UInt32Array::from(groups.to_vec()))
}
