//! A table with one row per key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::ArrayRef;

use super::columns::Columns;
use super::frozen::{Body, Held, Rows};
use super::read_through::ReadThrough;
use super::restore::{Batch, RestoreError, restore};
use super::slots::Slots;
use super::{
    Bounds, Cell, Cells, ColumnError, Frozen, Groups, Memory, Reader, SpecError, Table, TableError,
    TableSpec, Writer, build_array,
};
use crate::key_table::{ABSENT, KeyTable};
use crate::merge::Input;
use crate::sorted::{Age, Meta, Value};

/// Below this many slots moving rows together frees too little to be worth it.
const SMALL: usize = 1_024;

/// Key → one row of typed columns.
///
/// A batch resolves its keys to slots once; cells are then read and written by slot, column by
/// column. The slot of a removed key is not given to another one before [`Table::sweep`] has
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
    pub(super) read_through: Option<ReadThrough>,
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
        let (clock, _) = restore(&table.spec.clone(), groups, segments, |batch: &Batch<'_>| {
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
        self.peek(keys, rows, slots)?;
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

    /// The slot of each row's key, whatever is there.
    pub(super) fn peek(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        Ok(self.keys.lookup(keys, rows, slots)?)
    }

    /// The slot of each row's key, a vacant one if it has none.
    pub(super) fn slots_of(
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
    pub(super) fn install_row<'a>(
        &mut self,
        slot: u32,
        stamp: u32,
        values: impl Iterator<Item = Value<'a>>,
    ) {
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

    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        self.slots.is_vacant(slot)
    }

    pub(super) fn is_over(&self, stamp: u32) -> bool {
        self.spec.expiry.is_over(stamp, self.clock)
    }

    pub(super) fn groups(&self) -> Groups {
        self.groups
    }

    pub(super) fn table_spec(&self) -> &TableSpec {
        &self.spec
    }

    pub(super) fn forget_tombstones(&mut self, up_to: Age) {
        self.slots.published(up_to);
    }

    /// Says that these slots, which were looked up, are going to be written.
    pub fn touch(&mut self, slots: &[u32]) {
        let expires = self.spec.expiry.is_ttl();
        for &slot in slots {
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
        let field = self.spec.columns.get(column).ok_or(ColumnError { column })?;
        let values = slots.iter().map(|&slot| self.columns.value(slot, column));
        Ok(build_array(&field.data_type, values)?)
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
        let cells = Cells::of(values.as_ref(), &field.data_type)?;
        if !field.nullable && values.null_count() > 0 {
            return Err(TableError::Null(field.name.clone()));
        }
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

    /// Moves these slots into new tables, in which they are 0, 1, 2, …, and drops all others.
    fn keep(&mut self, kept: &[u32]) -> Result<(), TableError> {
        let (keys, slots) = move_keys(&self.keys, &self.spec, kept)?;
        // A key table may number one batch in another order than its rows.
        let mut from = vec![0; kept.len()];
        for (&to, &kept) in slots.iter().zip(kept) {
            from[to as usize] = kept;
        }
        self.columns = self.columns.gather(&from, &self.spec);
        self.slots = self.slots.gather(&from);
        if let Some(through) = &mut self.read_through {
            through.renumber(&from);
        }
        self.keys = keys;
        self.hand = 0;
        Ok(())
    }

    fn occupied(&self) -> impl Iterator<Item = u32> {
        (0..self.slots.len() as u32).filter(|&slot| !self.slots.is_vacant(slot))
    }

    /// Whether the row can be read back as it is.
    fn is_evictable(&self, slot: u32) -> bool {
        self.slots.is_clean(slot)
            && self.read_through.as_ref().is_some_and(|through| !through.is_in_flight(slot))
    }
}

/// Keys that are moved at a time, which bounds what it takes beside the tables.
const TOGETHER: usize = 4_096;

/// A table of these keys alone, and the slot that each has there.
pub(super) fn move_keys(
    from: &KeyTable,
    spec: &TableSpec,
    kept: &[u32],
) -> Result<(KeyTable, Vec<u32>), TableError> {
    let mut keys = KeyTable::with_capacity(&spec.key_types(), kept.len())?;
    let (mut slots, mut found) = (Vec::with_capacity(kept.len()), Vec::new());
    for kept in kept.chunks(TOGETHER) {
        keys.resolve(&from.keys(kept)?, kept.len(), &mut found)?;
        slots.extend_from_slice(&found);
    }
    Ok((keys, slots))
}

impl Table for Keyed {
    fn spec(&self) -> &TableSpec {
        &self.spec
    }

    fn set_clock(&mut self, now: u32) {
        self.clock = self.clock.max(now);
    }

    fn is_dirty(&self) -> bool {
        self.slots.dirty() > 0
    }

    fn freeze(&mut self, age: Age) -> Frozen {
        let chunks = self.slots.freeze(age);
        if let Some(through) = &mut self.read_through {
            through.froze(age, &chunks);
        }
        let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.chunk).collect();
        let columns = self.columns.freeze_chunks(&numbers, self.slots.chunks());
        let keys = self.keys.freeze_chunks(&numbers);
        let held = Held::new(&self.frozen, columns.bytes());
        let (table, clock) = (self.spec.clone(), self.clock);
        Frozen {
            age,
            groups: self.groups,
            meta: Meta { table, groups: self.groups.of, clock, bounds: Bounds::default() },
            body: Body::Rows(Rows { chunks, columns, keys, order: None }),
            _held: held,
        }
    }

    fn published(&mut self, up_to: Age) {
        if self.read_through.is_none() {
            self.slots.published(up_to);
        }
    }

    fn trim(&mut self, want: usize) -> usize {
        if self.read_through.is_none() {
            return 0;
        }
        let before = self.memory().total();
        let freed = |table: &Self| before.saturating_sub(table.memory().total());
        for used in [false, true] {
            let goes = |slot: u32| self.is_evictable(slot) && (used || !self.slots.is_used(slot));
            let kept: Vec<u32> = self.occupied().filter(|&slot| !goes(slot)).collect();
            if kept.len() < self.slots.len() && self.keep(&kept).is_err() {
                break;
            }
            if freed(self) >= want {
                break;
            }
        }
        if let Some(through) = &mut self.read_through {
            through.trimmed();
        }
        freed(self)
    }

    fn sweep(&mut self, limit: usize) -> usize {
        let mut gone = 0;
        if self.spec.expiry.is_ttl() {
            let len = self.slots.len() as u32;
            for _ in 0..limit.min(len as usize) {
                let slot = self.hand;
                self.hand = (self.hand + 1) % len;
                if self.slots.is_live(slot) && !self.is_visible(slot) {
                    self.slots.vacate(slot);
                    self.columns.release(slot);
                    gone += 1;
                }
            }
        }
        if self.slots.len() >= SMALL && self.slots.occupied() * 2 < self.slots.len() {
            let kept: Vec<u32> = self.occupied().collect();
            // Keys that were stored as of the table's types always come back; if not, the table
            // stays as it is.
            let _ = self.keep(&kept);
        }
        gone
    }

    fn memory(&self) -> Memory {
        let rows = self.columns.bytes();
        let chunks = self.slots.chunks().max(1);
        let dirty = rows * self.slots.dirty_chunks() / chunks;
        Memory {
            dirty,
            frozen: self.frozen.load(Relaxed),
            clean: rows - dirty,
            index: self.keys.bytes() + self.slots.bytes(),
        }
    }
}
