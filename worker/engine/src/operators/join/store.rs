//! The rows of one side: a row per key where that is enough to tell them apart, else many.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use weir_state::key_table::ABSENT;
use weir_state::table::{Edge, Groups, Keyed, Ordered, Scan, SpecError, Table, TableError};

use super::plan::Side;
use crate::OperatorError;
use crate::operators::rows::take_all;

/// Rows that are looked at together in search of one that is there.
const LOOK: usize = 16;

/// A side's table.
#[derive(Debug)]
pub(super) enum Store {
    One(Keyed),
    Many(Ordered),
}

/// Where reading the rows of a key stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    key: u32,
    scan: Scan,
}

impl Cursor {
    /// The rows of the key in a slot of [`Store::keys_in`].
    pub(super) fn new(key: u32) -> Self {
        Self { key, scan: Scan::all(key) }
    }

    /// Those of them from one edge to another, inclusive.
    pub(super) fn between(key: u32, from: &Edge, to: &Edge) -> Self {
        Self { key, scan: Scan::all(key).from(from).to(to) }
    }
}

impl Store {
    pub(super) fn new(side: &Side, groups: Groups) -> Result<Self, SpecError> {
        let spec = side.table.clone();
        Ok(if spec.is_ordered() {
            Self::Many(Ordered::new(spec, groups)?)
        } else {
            Self::One(Keyed::new(spec, groups)?)
        })
    }

    pub(super) fn table(&mut self) -> &mut dyn Table {
        match self {
            Self::One(table) => table,
            Self::Many(table) => table,
        }
    }

    /// The slot of each row; [`ABSENT`] if it is not there.
    pub(super) fn find(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        match self {
            Self::One(table) => table.lookup(keys, rows, slots),
            Self::Many(table) => table.find(keys, order, rows, slots),
        }
    }

    /// Writes rows, over those that are there: all columns of the table. Gives the slot of each;
    /// [`ABSENT`] if the table takes it no more.
    pub(super) fn put(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<u32>, TableError> {
        match self {
            Self::One(table) => {
                let mut slots = Vec::new();
                table.resolve(keys, rows, &mut slots)?;
                for (column, values) in columns.iter().enumerate() {
                    table.write(column, &slots, values)?;
                }
                Ok(slots)
            }
            Self::Many(table) => table.put(keys, order, columns, rows),
        }
    }

    pub(super) fn remove(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        rows: usize,
    ) -> Result<(), TableError> {
        match self {
            Self::One(table) => {
                let mut slots = Vec::new();
                table.lookup(keys, rows, &mut slots)?;
                table.remove(&slots);
                Ok(())
            }
            Self::Many(table) => table.remove(keys, order, rows),
        }
    }

    /// The slot of each key, for a [`Cursor`]; [`ABSENT`] if nothing is known of it.
    pub(super) fn keys_in(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        match self {
            Self::One(table) => table.lookup(keys, rows, slots),
            Self::Many(table) => table.lookup(keys, rows, slots),
        }
    }

    /// The edges of these values of the first order columns; none where rows have no order.
    pub(super) fn edges(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<Edge>, TableError> {
        match self {
            Self::One(_) => Ok(Vec::new()),
            Self::Many(table) => table.edges(columns, rows),
        }
    }

    /// Appends the slots of the next rows of a key, going by at most `limit`; `true` if there
    /// may be more.
    pub(super) fn scan(&self, cursor: &mut Cursor, limit: usize, slots: &mut Vec<u32>) -> bool {
        match self {
            Self::One(_) => {
                slots.push(cursor.key);
                false
            }
            Self::Many(table) => table.scan(&mut cursor.scan, limit, slots),
        }
    }

    /// Whether a key has rows.
    pub(super) fn has_rows(&self, key: u32) -> bool {
        if key == ABSENT {
            return false;
        }
        let (mut cursor, mut found) = (Cursor::new(key), Vec::new());
        while self.scan(&mut cursor, LOOK, &mut found) && found.is_empty() {}
        !found.is_empty()
    }

    /// For each row whether its key has rows.
    pub(super) fn have_rows(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<bool>, TableError> {
        let mut slots = Vec::new();
        self.keys_in(keys, rows, &mut slots)?;
        Ok(slots.into_iter().map(|key| self.has_rows(key)).collect())
    }

    /// The rows in these slots, as the side's input had them.
    pub(super) fn rows(&self, side: &Side, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns: Vec<Option<ArrayRef>> = vec![None; side.schema.fields().len()];
        let (keys, order) = match self {
            Self::One(table) => (table.keys(slots)?, Vec::new()),
            Self::Many(table) => (table.keys(slots)?, table.orders(slots)?),
        };
        let stored = side.keys.iter().zip(keys).chain(side.order.iter().zip(order));
        for (&column, values) in stored {
            columns[column] = Some(values);
        }
        for (at, &column) in side.values.iter().enumerate() {
            columns[column] = Some(match self {
                Self::One(table) => table.read(at, slots)?,
                Self::Many(table) => table.read(at, slots)?,
            });
        }
        columns
            .into_iter()
            .map(|column| {
                column.ok_or_else(|| OperatorError::internal("a column of a join is not kept"))
            })
            .collect()
    }

    /// A counter of these slots; 1 where there is no such column.
    pub(super) fn counts(
        &self,
        column: Option<usize>,
        slots: &[u32],
    ) -> Result<Vec<i64>, TableError> {
        let Some(column) = column else { return Ok(vec![1; slots.len()]) };
        let counts = match self {
            Self::One(table) => table.column::<i64>(column)?,
            Self::Many(table) => table.column::<i64>(column)?,
        };
        Ok(slots.iter().map(|&slot| counts.get(slot).unwrap_or_default()).collect())
    }

    /// Sets a counter of rows.
    pub(super) fn set_counts(
        &mut self,
        column: usize,
        counts: impl Iterator<Item = (u32, i64)> + Clone,
    ) -> Result<(), TableError> {
        let slots: Vec<u32> = counts.clone().map(|(slot, _)| slot).collect();
        self.touch(&slots);
        let mut writer = match self {
            Self::One(table) => table.column_mut::<i64>(column)?,
            Self::Many(table) => table.column_mut::<i64>(column)?,
        };
        counts.for_each(|(slot, count)| writer.set(slot, count));
        Ok(())
    }

    /// Says that something happened to these rows.
    pub(super) fn touch(&mut self, slots: &[u32]) {
        match self {
            Self::One(table) => table.touch(slots),
            Self::Many(table) => table.touch(slots),
        }
    }

    /// All columns of the table for these rows of a batch, with counters at 0.
    pub(super) fn columns_of(
        side: &Side,
        batch: &[ArrayRef],
        rows: &UInt32Array,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values: Vec<ArrayRef> =
            side.values.iter().map(|&column| Arc::clone(&batch[column])).collect();
        let mut columns = take_all(&values, rows)?;
        for _ in side.count.iter().chain(&side.matches) {
            columns.push(Arc::new(Int64Array::from(vec![0; rows.len()])));
        }
        Ok(columns)
    }
}
