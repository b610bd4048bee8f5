//! The values that groups have, in their order, and how often.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, UInt32Type};
use weir_state::key_table::{ABSENT, KeyTable};
use weir_state::table::{Groups, Ordered, Scan, SpecError, Table, TableError, TableSpec};

use crate::OperatorError;
use crate::aggregate::Pick;
use crate::operators::rows::take_all;

/// Rows that are looked at together in search of a value.
const LOOK: usize = 16;

/// A table of values.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) table: Ordered,
    value_type: DataType,
    /// Whether values may go, so that the table counts them.
    counts: bool,
}

/// What a batch has made of sets of values.
pub(super) struct Moved {
    /// The groups whose sets are others, as numbers of the batch; once for each value.
    pub(super) groups: Vec<u32>,
    /// The values that came or went.
    pub(super) values: ArrayRef,
    /// Which of them went.
    pub(super) gone: BooleanArray,
}

impl Values {
    pub(super) fn new(spec: TableSpec, groups: Groups) -> Result<Self, SpecError> {
        let counts = !spec.columns.is_empty();
        let value_type =
            spec.order_fields().first().map_or(DataType::Null, |o| o.field.data_type.clone());
        Ok(Self { table: Ordered::new(spec, groups)?, value_type, counts })
    }

    /// Takes in a batch: per row the number of its group, whose keys are `keys`, its value, where
    /// NULL does not count, and whether it goes.
    pub(super) fn take_in(
        &mut self,
        keys: &[ArrayRef],
        numbers: &[u32],
        values: &ArrayRef,
        gone: Option<&BooleanArray>,
    ) -> Result<Moved, OperatorError> {
        let rows: Vec<u32> =
            (0..values.len() as u32).filter(|&row| values.is_valid(row as usize)).collect();
        let owners: UInt32Array = rows.iter().map(|&row| numbers[row as usize]).collect();
        let values = take(values, &UInt32Array::from(rows.clone()), None)?;
        // Each value of each group once, as the key of a table has it: there is one zero.
        let types = [DataType::UInt32, self.value_type.clone()];
        let mut pairs = KeyTable::new(&types).map_err(OperatorError::internal)?;
        let mut pair_of = Vec::new();
        let columns = [Arc::new(owners) as ArrayRef, values];
        pairs.resolve(&columns, rows.len(), &mut pair_of).map_err(OperatorError::internal)?;
        let mut deltas = vec![0_i64; pairs.len()];
        for (&row, &pair) in rows.iter().zip(&pair_of) {
            let goes = gone.is_some_and(|gone| gone.value(row as usize));
            deltas[pair as usize] += if goes { -1 } else { 1 };
        }
        let changed: Vec<u32> =
            (0..pairs.len() as u32).filter(|&pair| deltas[pair as usize] != 0).collect();
        let [owners, values] =
            pairs.keys(&changed).map_err(OperatorError::internal)?.try_into().map_err(|_| {
                OperatorError::internal("a pair of group and value has two columns")
            })?;
        let keys = take_all(keys, &owners)?;
        let deltas: Vec<i64> = changed.iter().map(|&pair| deltas[pair as usize]).collect();
        let moves = self.add(&keys, &values, &deltas)?;
        let moved: UInt32Array =
            moves.iter().zip(0..).filter(|(by, _)| **by != 0).map(|(_, at)| at).collect();
        let owners = take(&owners, &moved, None)?;
        Ok(Moved {
            groups: owners.as_primitive::<UInt32Type>().values().to_vec(),
            values: take(&values, &moved, None)?,
            gone: moves.iter().filter(|by| **by != 0).map(|by| Some(*by < 0)).collect(),
        })
    }

    /// Adds to the counts of different values, none of them by 0. Gives for each 1 if the value
    /// was not there before and -1 if it no longer is.
    fn add(
        &mut self,
        keys: &[ArrayRef],
        values: &ArrayRef,
        deltas: &[i64],
    ) -> Result<Vec<i8>, OperatorError> {
        let order = std::slice::from_ref(values);
        let rows = deltas.len();
        let mut slots = Vec::new();
        self.table.find(keys, order, rows, &mut slots)?;
        if !self.counts {
            let moves = slots.iter().map(|&slot| i8::from(slot == ABSENT)).collect();
            if self.table.spec().expiry.is_ttl() {
                self.table.touch(&slots);
            }
            let new = (0..).zip(&slots).filter(|(_, slot)| **slot == ABSENT);
            self.put(keys, values, None, &new.map(|(row, _)| row).collect())?;
            return Ok(moves);
        }
        let counts = {
            let counts = self.table.column::<i64>(0).map_err(TableError::from)?;
            let before = |slot: u32| {
                if slot == ABSENT { 0 } else { counts.get(slot).unwrap_or_default() }
            };
            slots.iter().map(|&slot| before(slot)).collect::<Vec<_>>()
        };
        let after: Vec<i64> = counts.iter().zip(deltas).map(|(count, by)| count + by).collect();
        let moves = counts.iter().zip(&after).map(|(&count, &after)| {
            // What goes before it came is there less than never.
            i8::from(after > 0) - i8::from(count > 0)
        });
        let moves = moves.collect();
        let rows = |wanted: &dyn Fn(bool, i64) -> bool| -> UInt32Array {
            let rows = (0..).zip(slots.iter().zip(&after));
            rows.filter(|(_, (slot, count))| wanted(**slot != ABSENT, **count))
                .map(|(row, _)| row)
                .collect()
        };
        let (stay, new, gone) = (
            rows(&|known, count| known && count != 0),
            rows(&|known, _| !known),
            rows(&|known, count| known && count == 0),
        );
        let there: Vec<u32> = stay.values().iter().map(|&row| slots[row as usize]).collect();
        self.table.touch(&there);
        let mut counts = self.table.column_mut::<i64>(0).map_err(TableError::from)?;
        for (&row, slot) in stay.values().iter().zip(there) {
            counts.set(slot, after[row as usize]);
        }
        self.put(keys, values, Some(after.into()), &new)?;
        if !gone.is_empty() {
            let order = [take(values, &gone, None)?];
            self.table.remove(&take_all(keys, &gone)?, &order, gone.len())?;
        }
        Ok(moves)
    }

    /// Writes these of the rows.
    fn put(
        &mut self,
        keys: &[ArrayRef],
        values: &ArrayRef,
        counts: Option<Int64Array>,
        rows: &UInt32Array,
    ) -> Result<(), OperatorError> {
        if rows.is_empty() {
            return Ok(());
        }
        let order = [take(values, rows, None)?];
        let counts: Vec<ArrayRef> = counts.into_iter().map(|c| Arc::new(c) as _).collect();
        let (keys, counts) = (take_all(keys, rows)?, take_all(&counts, rows)?);
        self.table.put(&keys, &order, &counts, rows.len())?;
        Ok(())
    }

    /// One value of each of these groups; NULL where there is none.
    pub(super) fn pick(
        &mut self,
        keys: &[ArrayRef],
        groups: usize,
        pick: Pick,
    ) -> Result<ArrayRef, OperatorError> {
        let mut key_slots = Vec::new();
        self.table.lookup(keys, groups, &mut key_slots)?;
        let counts = self.table.column::<i64>(0).map_err(TableError::from)?;
        let is_there = |slot: &u32| counts.get(*slot).is_some_and(|count| count > 0);
        let (mut slots, mut found, mut at) = (Vec::new(), Vec::new(), Vec::with_capacity(groups));
        for key in key_slots {
            let mut scan = match pick {
                Pick::Least => Scan::all(key),
                Pick::Greatest => Scan::all(key).backward(),
            };
            let first = loop {
                slots.clear();
                let more = self.table.scan(&mut scan, LOOK, &mut slots);
                let first = slots.iter().copied().find(is_there);
                if first.is_some() || !more {
                    break first;
                }
            };
            at.push(first.map(|_| found.len() as u32));
            found.extend(first);
        }
        let values = self.table.orders(&found)?.pop();
        let values = values.ok_or_else(|| OperatorError::internal("a value has no column"))?;
        Ok(take(&values, &UInt32Array::from(at), None)?)
    }

    /// Forgets the values of these groups.
    pub(super) fn clear(&mut self, keys: &[ArrayRef], groups: usize) -> Result<(), OperatorError> {
        Ok(self.table.clear(keys, groups)?)
    }
}
