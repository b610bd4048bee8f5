//! What a batch makes of the rows of its side.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use weir_state::key_table::ABSENT;

use super::plan::Side;
use super::store::Store;
use crate::operators::group::batch::BatchGroups;
use crate::operators::rows::{same, take_all};
use crate::{Batch, OperatorError, RowKind};

/// Rows that came or went, net of all that happened in a batch.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// As the side's input has them.
    pub(super) columns: Vec<ArrayRef>,
    /// How many times each.
    pub(super) times: Vec<i64>,
    pub(super) kinds: Vec<RowKind>,
    /// Where they are in the table; of those that went, where they were.
    pub(super) slots: Vec<u32>,
    /// A row of the batch that has the same key.
    pub(super) like: Vec<u32>,
}

impl Moved {
    pub(super) fn push(&mut self, like: u32, slot: u32, times: i64, kind: RowKind) {
        self.like.push(like);
        self.slots.push(slot);
        self.times.push(times);
        self.kinds.push(kind);
    }

    pub(super) fn len(&self) -> usize {
        self.like.len()
    }
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) went: Moved,
    pub(super) came: Moved,
}

/// A batch of one side on its way into the table.
pub(super) struct Fold<'a> {
    pub(super) side: &'a Side,
    pub(super) store: &'a mut Store,
    pub(super) numbers: &'a mut BatchGroups,
    pub(super) batch: &'a Batch,
    pub(super) keys: &'a [ArrayRef],
}

impl Fold<'_> {
    fn order(&self) -> Vec<ArrayRef> {
        self.side.order.iter().map(|&c| self.batch.records().column(c).clone()).collect()
    }

    /// Takes the batch into the table.
    pub(super) fn fold(&mut self) -> Result<Folded, OperatorError> {
        let (rows, order) = (self.batch.num_rows(), self.order());
        let mut slots = Vec::new();
        self.store.find(self.keys, &order, rows, &mut slots)?;
        let known: Vec<bool> = slots.iter().map(|&slot| slot != ABSENT).collect();
        let new: UInt32Array =
            (0..).zip(&known).filter(|(_, k)| !**k).map(|(row, _)| row).collect();
        if !new.is_empty() {
            // Every row gets its place, by which equal ones are found.
            let columns = Store::columns_of(self.side, self.batch.records().columns(), &new)?;
            let (keys, order_of_new) = (take_all(self.keys, &new)?, take_all(&order, &new)?);
            let put = self.store.put(&keys, &order_of_new, &columns, new.len())?;
            new.values().iter().zip(put).for_each(|(&row, slot)| slots[row as usize] = slot);
        }
        self.numbers.number(&slots, &known);
        match self.side.count {
            Some(count) => self.count(count, &order),
            None => self.replace(&order),
        }
    }

    /// Per number the last row of the batch.
    fn last(&self) -> Vec<u32> {
        let mut last = vec![0; self.numbers.len()];
        for (row, &number) in (0..).zip(&self.numbers.numbers) {
            last[number as usize] = row;
        }
        last
    }

    /// Counts equal rows. One that goes without being there is ignored.
    fn count(&mut self, column: usize, order: &[ArrayRef]) -> Result<Folded, OperatorError> {
        let before = self.store.counts(Some(column), &self.numbers.slots)?;
        let mut after = before.clone();
        for (row, &number) in (0..).zip(&self.numbers.numbers) {
            let count = &mut after[number as usize];
            *count =
                if self.batch.kind(row as usize).goes() { (*count - 1).max(0) } else { *count + 1 };
        }
        let last = self.last();
        let mut folded = Folded::default();
        let (mut stay, mut empty) = (Vec::new(), Vec::new());
        for (number, &slot) in self.numbers.slots.iter().enumerate() {
            let (before, after, row) = (before[number], after[number], last[number]);
            let kind = self.batch.kind(row as usize);
            if after > before {
                let kind = if kind.goes() { RowKind::Insert } else { kind };
                folded.came.push(row, slot, after - before, kind);
            } else if after < before {
                let kind = if kind.goes() { kind } else { RowKind::Delete };
                folded.went.push(row, slot, before - after, kind);
            }
            if after > 0 { stay.push((slot, after)) } else { empty.push(row) }
        }
        self.store.set_counts(column, stay.into_iter())?;
        self.remove(order, empty)?;
        for moved in [&mut folded.went, &mut folded.came] {
            let like = UInt32Array::from(moved.like.clone());
            moved.columns = take_all(self.batch.records().columns(), &like)?;
        }
        Ok(folded)
    }

    /// Lets the last row of each place count.
    fn replace(&mut self, order: &[ArrayRef]) -> Result<Folded, OperatorError> {
        let last = self.last();
        let there: Vec<usize> = (0..last.len()).filter(|&n| self.numbers.known[n]).collect();
        let slots: Vec<u32> = there.iter().map(|&number| self.numbers.slots[number]).collect();
        let stored = self.store.rows(self.side, &slots)?;
        let given: UInt32Array = there.iter().map(|&number| last[number]).collect();
        let mut unchanged = vec![true; there.len()];
        for (stored, given) in stored.iter().zip(take_all(self.batch.records().columns(), &given)?)
        {
            let equal = same(stored, &given)?;
            unchanged.iter_mut().zip(&equal).for_each(|(unchanged, equal)| *unchanged &= equal);
        }
        let mut at = vec![None; last.len()];
        there.iter().enumerate().for_each(|(position, &number)| at[number] = Some(position));

        let mut folded = Folded::default();
        let (mut went, mut put, mut empty, mut touched) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, &slot) in self.numbers.slots.iter().enumerate() {
            let row = last[number];
            let stays = !self.batch.kind(row as usize).goes();
            match at[number] {
                Some(position) if stays && unchanged[position] => touched.push(slot),
                Some(position) => {
                    let kind = if stays { RowKind::UpdateBefore } else { RowKind::Delete };
                    folded.went.push(row, slot, 1, kind);
                    went.push(position as u32);
                    if stays {
                        folded.came.push(row, slot, 1, RowKind::UpdateAfter);
                        put.push(row);
                    }
                }
                // It was put when it got its place.
                None if stays => folded.came.push(row, slot, 1, RowKind::Insert),
                None => {}
            }
            if !stays {
                empty.push(row);
            }
        }
        if self.side.ttl.is_some() {
            self.store.touch(&touched);
        }
        let put = UInt32Array::from(put);
        let columns = Store::columns_of(self.side, self.batch.records().columns(), &put)?;
        self.store.put(
            &take_all(self.keys, &put)?,
            &take_all(order, &put)?,
            &columns,
            put.len(),
        )?;
        self.remove(order, empty)?;
        let went = UInt32Array::from(went);
        folded.went.columns = stored
            .iter()
            .map(|column| Ok(take(column, &went, None)?))
            .collect::<Result<_, OperatorError>>()?;
        let came = UInt32Array::from(folded.came.like.clone());
        folded.came.columns = take_all(self.batch.records().columns(), &came)?;
        Ok(folded)
    }

    fn remove(&mut self, order: &[ArrayRef], rows: Vec<u32>) -> Result<(), OperatorError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = UInt32Array::from(rows);
        let (keys, order) = (take_all(self.keys, &rows)?, take_all(order, &rows)?);
        Ok(self.store.remove(&keys, &order, rows.len())?)
    }
}
