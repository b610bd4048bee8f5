//! A table with one row per key.

mod read;
mod table;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::array::ArrayRef;

use crate::key_table::{ABSENT, KeyTable};
use crate::merge::Input;
use crate::sorted::Value;
use crate::table::columns::Columns;
use crate::table::read_through::ReadThrough;
use crate::table::restore::{Batch, RestoreError, restore};
use crate::table::slots::Slots;
use crate::table::{
    Cell, Cells, ColumnError, Groups, Reader, SpecError, TableError, TableSpec, Writer,
};

/// Below this many slots moving rows together frees too little to be worth it.
const SMALL: usize = 1_024;

/// Key → one row of typed columns.
///
/// A batch resolves its keys to slots once; cells are then read and written by slot, column by
/// column. The slot of a removed key is not given to another one before [`crate::table::Table::sweep`] has
/// moved the rows together, which carries every tombstone along.
#[derive(Debug)]
pub struct Keyed {
    spec: TableSpec,
    groups: Groups,
    keys: KeyTable,
    slots: Slots,
    columns: Columns,
    clock: u32,
    /// Where the search for expired rows goes on.
    hand: u32,
    frozen: Arc<AtomicUsize>,
    /// Not every row is in memory.
    read_through: Option<ReadThrough>,
}

impl Keyed {
    /// An empty table.
    ///
    /// # Errors
    /// When the spec cannot be.
    pub fn new(spec: TableSpec, groups: Groups) -> Result<Self, SpecError> {
        spec.check()?;
        let keys = KeyTable::new(&spec.key_types())
            .map_err(|error| SpecError { table: spec.name.clone(), problem: error.to_string() })?;
        let (slots, columns) = (Slots::default(), Columns::new(&spec));
        Ok(Self {
            spec,
            groups,
            keys,
            slots,
            columns,
            clock: 0,
            hand: 0,
            frozen: Arc::default(),
            read_through: None,
        })
    }

    /// The table as these segments hold it, which may come from any subtasks.
    ///
    /// # Errors
    /// When a segment cannot be read, or was written under a schema that cannot be taken over.
    pub fn restore(
        spec: TableSpec,
        groups: Groups,
        segments: &[Input],
    ) -> Result<Self, RestoreError> {
        let mut table = Self::new(spec, groups)?;
        let mut slots = Vec::new();
        let (clock, _) = restore(&table.spec.clone(), groups, segments, |batch: &Batch| {
            let keys = batch.keys(&table.spec.key_types())?;
            table.slots_of(&keys, batch.len(), &mut slots)?;
            for (row, &slot) in slots.iter().enumerate() {
                table.install_row(slot, batch.stamp(row), batch.values(row));
            }
            Ok(())
        })?;
        table.clock = clock;
        Ok(table)
    }

    fn grow(&mut self) {
        self.slots.grow(self.keys.len());
        self.columns.grow(self.keys.len());
    }

    #[inline]
    fn is_visible(&self, slot: u32) -> bool {
        self.slots.is_live(slot) && !self.spec.expiry.is_over(self.columns.stamp(slot), self.clock)
    }

    /// The slot of each row's key, to be written: a key that has no row gets one, NULL where
    /// that may be and 0 or empty elsewhere. All of them count as changed.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn resolve(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        self.slots_of(keys, rows, slots)?;
        self.touch(slots);
        Ok(())
    }

    /// The slot of each row's key, to be read; [`ABSENT`] if it has no row.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn lookup(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        self.keys.lookup(keys, rows, slots)?;
        let reads_through = self.read_through.is_some();
        for slot in slots {
            if *slot != ABSENT && !self.is_visible(*slot) {
                *slot = ABSENT;
            } else if *slot != ABSENT && reads_through {
                self.slots.mark_used(*slot);
            }
        }
        Ok(())
    }

    /// The slot of each row's key, a vacant one if it has none.
    fn slots_of(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        self.keys.resolve(keys, rows, slots)?;
        self.grow();
        Ok(())
    }

    /// Puts a row that was read into a slot, if nothing is there.
    fn install_row<'a>(&mut self, slot: u32, stamp: u32, values: impl Iterator<Item = Value<'a>>) {
        if !self.slots.is_vacant(slot) {
            return;
        }
        self.slots.restore(slot);
        self.slots.mark_used(slot);
        self.columns.reset(slot);
        self.columns.set_stamp(slot, stamp);
        for (column, value) in values.enumerate() {
            self.columns.set(slot, column, value);
        }
    }

    /// Says that these slots, which were looked up, are going to be written; those that are
    /// [`ABSENT`] are left out.
    pub fn touch(&mut self, slots: &[u32]) {
        let expires = self.spec.expiry.is_ttl();
        for &slot in slots.iter().filter(|&&slot| slot != ABSENT) {
            let expired = expires && self.spec.expiry.is_over(self.columns.stamp(slot), self.clock);
            if self.slots.write(slot) || expired {
                self.columns.reset(slot);
            }
            if expires {
                self.columns.set_stamp(slot, self.clock);
            }
        }
    }

    /// Removes the rows of these slots; those that have none already stay without.
    pub fn remove(&mut self, slots: &[u32]) {
        for &slot in slots {
            if slot != ABSENT && self.slots.is_live(slot) {
                self.slots.remove(slot);
                self.columns.release(slot);
            }
        }
    }

    /// A column of numbers or booleans, to be read by slot.
    ///
    /// # Errors
    /// When there is none, or it holds another type.
    pub fn column<T: Cell>(&self, column: usize) -> Result<Reader<'_, T>, ColumnError> {
        self.columns.reader(column)
    }

    /// A column of numbers or booleans, to be written by slots that were resolved or touched.
    ///
    /// # Errors
    /// When there is none, or it holds another type.
    pub fn column_mut<T: Cell>(&mut self, column: usize) -> Result<Writer<'_, T>, ColumnError> {
        self.columns.writer(column, &self.slots)
    }

    /// A column of these slots, each of which must have a row.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn read(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, TableError> {
        self.columns.read(&self.spec, column, slots)
    }

    /// Writes a column of slots that were resolved or touched: a value each.
    ///
    /// # Errors
    /// When there is no such column, the values are of another type, or one is NULL in a column
    /// that cannot be.
    pub fn write(
        &mut self,
        column: usize,
        slots: &[u32],
        values: &ArrayRef,
    ) -> Result<(), TableError> {
        let field = self.spec.columns.get(column).ok_or(ColumnError { column })?;
        let cells = Cells::of_field(values.as_ref(), field)?;
        for (row, &slot) in slots.iter().enumerate() {
            debug_assert!(
                self.slots.is_dirty(slot),
                "slot {slot} was neither resolved nor touched"
            );
            self.columns.set(slot, column, cells.value(row));
        }
        Ok(())
    }

    /// The key columns of these slots.
    ///
    /// # Errors
    /// When a key does not fit the table's types, which is a bug.
    pub fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(self.keys.keys(slots)?)
    }

    /// The slots of all rows that are in memory.
    pub fn all(&self) -> impl Iterator<Item = u32> {
        (0..self.slots.len() as u32).filter(|&slot| self.is_visible(slot))
    }
}
