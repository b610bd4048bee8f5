//! A table with many rows per key, in order.

mod read;
mod rows;
mod sweep;
mod table;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use weir_protocol::KeyGroup;

use crate::UnsupportedType;
use crate::chunked::Chunked;
use crate::key_table::{ABSENT, KeyTable};
use crate::merge::Input;
use crate::sorted::order::{decode_orders, encode_orders};
use crate::sorted::{Age, Strings, group_of, order_time, order_word};
use crate::table::blob::Blob;
use crate::table::columns::Columns;
use crate::table::read_through::ReadThrough;
use crate::table::restore::{Batch, RestoreError, restore};
use crate::table::run::{Run, Spot};
use crate::table::scan::Scan;
use crate::table::slots::Slots;
use crate::table::{
    Bounds, Cell, Cells, ColumnError, Expiry, Groups, OrderField, Reader, SpecError, TableError,
    TableSpec, Writer,
};

/// Below this many keys or rows moving them together frees too little to be worth it.
const SMALL: usize = 1_024;

/// What is known of a key.
#[derive(Debug)]
struct KeyState {
    group: KeyGroup,
    /// Its rows, tombstones among them, by order.
    run: Run,
    /// Where the key stands among those that expire: not after its oldest row.
    queued: i64,
    /// Whether all its rows are in memory, not only those that were written.
    resident: bool,
    /// Whether it was looked at since the last trim.
    used: bool,
}

/// Key → rows by order, unique within the key.
///
/// A row has a slot, by which its cells are read and written. Tombstones keep their place among
/// the rows of their key until they are published.
#[derive(Debug)]
pub struct Ordered {
    spec: TableSpec,
    groups: Groups,
    keys: KeyTable,
    states: Vec<KeyState>,
    slots: Slots,
    columns: Columns,
    /// Of each row, the slot of its key and its encoded order.
    key_of: Chunked<u32>,
    orders: Chunked<Blob>,
    /// Whether an order begins with what tells NULL from a value.
    first_is_nullable: bool,
    /// Vacant slots, to be used again. What a frozen handle sees of them does not change: it
    /// has chunks of its own from the first write on.
    free: Vec<u32>,
    /// Keys of which everything older is gone, which no segment says yet.
    cleared: BTreeSet<u32>,
    /// Those of which a segment says so that is not published yet.
    unpublished: HashMap<u32, Age>,
    /// Chunks of keys of which a row changed.
    key_chunks: Vec<u32>,
    key_chunk_listed: Vec<bool>,
    bounds: Bounds,
    bounds_raised: bool,
    /// Keys by their oldest row, for expiry by order.
    queue: BinaryHeap<Reverse<(i64, u32)>>,
    clock: u32,
    hand: u32,
    order_heap: usize,
    run_bytes: usize,
    frozen: Arc<AtomicUsize>,
    /// Not every row is in memory.
    read_through: Option<ReadThrough>,
}

impl Ordered {
    /// An empty table.
    ///
    /// # Errors
    /// When the spec cannot be, or has no order.
    pub fn new(spec: TableSpec, groups: Groups) -> Result<Self, SpecError> {
        spec.check()?;
        let wrong = |problem: String| SpecError { table: spec.name.clone(), problem };
        let Some(first) = spec.order_fields().first() else {
            return Err(wrong("an ordered table needs order columns".to_owned()));
        };
        let first_is_nullable = first.field.nullable;
        let keys = KeyTable::new(&spec.key_types()).map_err(|error| wrong(error.to_string()))?;
        let columns = Columns::new(&spec);
        Ok(Self {
            spec,
            groups,
            keys,
            states: Vec::new(),
            slots: Slots::default(),
            columns,
            key_of: Chunked::new(),
            orders: Chunked::new(),
            first_is_nullable,
            free: Vec::new(),
            cleared: BTreeSet::new(),
            unpublished: HashMap::new(),
            key_chunks: Vec::new(),
            key_chunk_listed: Vec::new(),
            bounds: Bounds::default(),
            bounds_raised: false,
            queue: BinaryHeap::new(),
            clock: 0,
            hand: 0,
            order_heap: 0,
            run_bytes: 0,
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
        let mut key_slots = Vec::new();
        let spec = table.spec.clone();
        let (clock, bounds) = restore(&spec, groups, segments, |batch: &Batch| {
            let keys = batch.keys(&spec.key_types())?;
            table.keys.resolve(&keys, batch.len(), &mut key_slots)?;
            table.add_states(|row| group_of(batch.prefix(row)), &key_slots);
            for (row, &key) in key_slots.iter().enumerate() {
                let order = batch.order(row);
                let (spot, _) = table.find_row(key, order);
                let slot = table.add_row(key, spot, order);
                table.slots.restore(slot);
                table.columns.set_stamp(slot, batch.stamp(row));
                for (column, value) in batch.values(row).enumerate() {
                    table.columns.set(slot, column, value);
                }
            }
            Ok(())
        })?;
        table.clock = clock;
        table.bounds = bounds;
        Ok(table)
    }

    fn encode(&self, order: &[ArrayRef], rows: usize) -> Result<Strings, TableError> {
        self.encode_first(self.spec.order_fields(), order, rows)
    }

    fn encode_first(
        &self,
        fields: &[OrderField],
        order: &[ArrayRef],
        rows: usize,
    ) -> Result<Strings, TableError> {
        width("an order", order.len(), fields.len())?;
        for (field, column) in fields.iter().zip(order) {
            if !field.field.nullable && column.null_count() > 0 {
                return Err(TableError::Null(field.field.name.clone()));
            }
        }
        let mut orders = Strings::with_capacity(rows, 16);
        encode_orders(fields, order, rows, &mut orders)?;
        Ok(orders)
    }

    /// Writes a row per key and order: a new one, or over the one that is there. Of equal ones
    /// in one batch the last counts. Rows below the expiry bound are left out. Gives the slot of each
    /// row; [`ABSENT`] if it was left out.
    ///
    /// # Errors
    /// When columns are of other types than the table's, or NULL where that cannot be.
    pub fn put(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<u32>, TableError> {
        let cells = self.cells(columns)?;
        let orders = self.encode(order, rows)?;
        let mut slots = Vec::new();
        self.resolve_keys(keys, rows, &mut slots)?;
        for (row, of) in slots.iter_mut().enumerate() {
            let (key, order) = (std::mem::replace(of, ABSENT), orders.get(row));
            if order_word(order) < self.bounds.word(self.states[key as usize].group) {
                continue;
            }
            let slot = match self.find_row(key, order) {
                (_, Some(slot)) => slot,
                (spot, None) => {
                    let slot = self.add_row(key, spot, order);
                    self.may_be_stored(key, slot);
                    slot
                }
            };
            self.fill_row(key, slot, &cells, row);
            *of = slot;
        }
        Ok(slots)
    }

    /// Writes each row behind those of its key that are equal to it in the order columns but the last,
    /// an ascending `Int64` that is never NULL and numbers them from 0; `order` is without it. The keys
    /// must be in memory. Rows below the expiry bound are left out.
    ///
    /// # Errors
    /// As [`Ordered::put`], and when the last order column is of another kind.
    pub fn append(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), TableError> {
        let cells = self.cells(columns)?;
        let orders = match self.spec.order_fields().split_last() {
            Some((last, first))
                if *last == OrderField::ascending(&last.field.name, DataType::Int64) =>
            {
                self.encode_first(first, order, rows)?
            }
            last => {
                let of = last.map_or(DataType::Null, |(last, _)| last.field.data_type.clone());
                return Err(UnsupportedType(of).into());
            }
        };
        let mut key_slots = Vec::new();
        self.resolve_keys(keys, rows, &mut key_slots)?;
        let mut whole = Vec::new();
        for (row, &key) in key_slots.iter().enumerate() {
            let order = orders.get(row);
            let spot = self.place_behind(key, order);
            let before =
                self.states[key as usize].run.get_before(spot).map(|slot| self.order(slot));
            // Also behind one that is gone and keeps its place.
            let equal = before.and_then(|before| before.strip_prefix(order)?.first_chunk());
            let number = equal.map_or(i64::MIN as u64, |last| u64::from_be_bytes(*last) + 1);
            whole.clear();
            whole.extend_from_slice(order);
            whole.extend_from_slice(&number.to_be_bytes());
            if order_word(&whole) < self.bounds.word(self.states[key as usize].group) {
                continue;
            }
            let slot = self.add_row(key, spot, &whole);
            self.may_be_stored(key, slot);
            self.fill_row(key, slot, &cells, row);
        }
        Ok(())
    }

    fn cells<'a>(&self, columns: &'a [ArrayRef]) -> Result<Vec<Cells<'a>>, TableError> {
        width("a row", columns.len(), self.spec.columns.len())?;
        let fields = self.spec.columns.iter();
        fields.zip(columns).map(|(field, column)| Cells::of_field(column, field)).collect()
    }

    /// Removes the rows of these keys and orders; those that are not there stay so.
    ///
    /// # Errors
    /// When columns are of other types than the table's.
    pub fn remove(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        rows: usize,
    ) -> Result<(), TableError> {
        let orders = self.encode(order, rows)?;
        let mut key_slots = Vec::new();
        self.known(keys, rows, &mut key_slots)?;
        for (row, &key) in key_slots.iter().enumerate() {
            if key == ABSENT {
                continue;
            }
            let order = orders.get(row);
            match self.find_row(key, order) {
                (spot, Some(slot)) if self.slots.is_live(slot) => self.remove_row(key, spot, slot),
                // A segment may hold it.
                (spot, None) if !self.states[key as usize].resident => {
                    let slot = self.add_row(key, spot, order);
                    self.may_be_stored(key, slot);
                    self.slots.remove(slot);
                    self.touch_key(key);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the rows in these slots, which were found or scanned.
    pub fn remove_slots(&mut self, slots: &[u32]) {
        for &slot in slots {
            let key = *self.key_of.get(slot as usize);
            match self.find_row(key, self.order(slot)) {
                (spot, Some(found)) if found == slot && self.slots.is_live(slot) => {
                    self.remove_row(key, spot, slot);
                }
                _ => {}
            }
        }
    }

    /// Removes every row of these keys, however many segments hold: by one marker a key.
    ///
    /// # Errors
    /// When columns are of other types than the key's.
    pub fn clear(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), TableError> {
        let mut key_slots = Vec::new();
        self.known(keys, rows, &mut key_slots)?;
        key_slots.sort_unstable();
        key_slots.dedup();
        for key in key_slots {
            if key == ABSENT {
                continue;
            }
            let rows: Vec<u32> = self.states[key as usize].run.iter().collect();
            self.change_run(key, |run| *run = Run::default());
            // Only what a segment holds has to be hidden.
            let resident = std::mem::replace(&mut self.states[key as usize].resident, true);
            if !resident || rows.iter().any(|&slot| self.slots.is_stored(slot)) {
                self.cleared.insert(key);
                self.touch_key(key);
            }
            for slot in rows {
                self.slots.vacate(slot);
                self.free_row(slot);
            }
        }
        Ok(())
    }

    /// Rows of which the first order column is below `bound` are gone, here and in every
    /// segment. A bound never falls: a lower one than before changes nothing. Memory is freed by
    /// [`crate::table::Table::sweep`].
    pub fn expire_below(&mut self, bound: i64) {
        if self.spec.expiry == Expiry::ByOrder && bound > self.bounds.lowest(self.groups.range) {
            self.bounds.raise(self.groups.range, bound);
            self.bounds_raised = true;
        }
    }

    /// The slot of each key, for [`Ordered::scan`]; [`ABSENT`] if it was never seen.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn lookup(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        key_slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        self.keys.lookup(keys, rows, key_slots)?;
        self.mark_used(key_slots);
        Ok(())
    }

    /// The slot of the row of each key and order; [`ABSENT`] if there is none.
    ///
    /// # Errors
    /// When columns are of other types than the table's.
    pub fn find(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        let orders = self.encode(order, rows)?;
        self.lookup(keys, rows, slots)?;
        for (row, slot) in slots.iter_mut().enumerate() {
            if *slot == ABSENT {
                continue;
            }
            let bound = self.bounds.word(self.states[*slot as usize].group);
            let (_, found) = self.find_row(*slot, orders.get(row));
            *slot = found.filter(|&slot| self.is_visible(slot, bound)).unwrap_or(ABSENT);
        }
        Ok(())
    }

    /// Says that the cells of these rows, which were found or scanned, are going to be written;
    /// those that are [`ABSENT`] are left out.
    pub fn touch(&mut self, slots: &[u32]) {
        for &slot in slots.iter().filter(|&&slot| slot != ABSENT) {
            self.write_row(*self.key_of.get(slot as usize), slot);
        }
    }

    /// Appends the slots of the next rows of a scan to `slots`, going by at most `limit` of
    /// them; `true` if there may be more. The scan goes on from there even if the table was
    /// written meanwhile, though not beyond [`crate::table::Table::sweep`].
    pub fn scan(&self, scan: &mut Scan, limit: usize, slots: &mut Vec<u32>) -> bool {
        let Some(state) = self.states.get(scan.key as usize) else { return false };
        let run = &state.run;
        let bound = self.bounds.word(state.group);
        let place = |order: &[u8]| self.place(scan.key, order);
        let start = if scan.from.is_empty() { Spot::START } else { place(&scan.from) };
        let end = scan.to.as_ref().map_or(Spot::END, |to| place(to));
        let mut rows = run.between(start..end);
        let mut next = || if scan.backward { rows.next_back() } else { rows.next() };
        let mut last = None;
        for _ in 0..limit {
            let Some(slot) = next() else { return false };
            last = Some(slot);
            if self.is_visible(slot, bound) {
                slots.push(slot);
            }
        }
        let more = next().is_some();
        if let Some(last) = last.filter(|_| more) {
            scan.pass(self.order(last));
        }
        more
    }

    /// A column of numbers or booleans, to be read by slot.
    ///
    /// # Errors
    /// When there is none, or it holds another type.
    pub fn column<T: Cell>(&self, column: usize) -> Result<Reader<'_, T>, ColumnError> {
        self.columns.reader(column)
    }

    /// A column of numbers or booleans, to be written by slots that were touched.
    ///
    /// # Errors
    /// When there is none, or it holds another type.
    pub fn column_mut<T: Cell>(&mut self, column: usize) -> Result<Writer<'_, T>, ColumnError> {
        self.columns.writer(column, &self.slots)
    }

    /// A column of these rows.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn read(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, TableError> {
        self.columns.read(&self.spec, column, slots)
    }

    /// The order columns of these rows.
    ///
    /// # Errors
    /// When an order does not fit the table's types, which is a bug.
    pub fn orders(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, TableError> {
        let orders = slots.iter().map(|&slot| self.order(slot));
        Ok(decode_orders(self.spec.order_fields(), orders)?)
    }

    /// The encoded order columns of a row but the last one, of a table for [`Ordered::append`].
    #[must_use]
    pub fn order_before_last(&self, slot: u32) -> &[u8] {
        let order = self.order(slot);
        &order[..order.len().saturating_sub(8)]
    }

    /// The first order column of a row, of a table where that is a signed number or a time that is
    /// never NULL and ascends.
    #[must_use]
    pub fn first_order(&self, slot: u32) -> i64 {
        order_time(self.order(slot))
    }

    /// The key columns of these rows.
    ///
    /// # Errors
    /// When a key does not fit the table's types, which is a bug.
    pub fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, TableError> {
        let keys: Vec<u32> = slots.iter().map(|&slot| *self.key_of.get(slot as usize)).collect();
        Ok(self.keys.keys(&keys)?)
    }

    /// The slots of all rows, key by key, in order.
    pub fn all(&self) -> impl Iterator<Item = u32> {
        self.states.iter().flat_map(move |state| {
            let bound = self.bounds.word(state.group);
            state.run.iter().filter(move |&slot| self.is_visible(slot, bound))
        })
    }
}

fn width(what: &'static str, given: usize, wanted: usize) -> Result<(), TableError> {
    if given == wanted { Ok(()) } else { Err(TableError::Width { what, given, wanted }) }
}
