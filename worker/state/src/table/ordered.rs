//! A table with many rows per key, in order.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::ArrayRef;
use weir_protocol::KeyGroup;

use super::blob::Blob;
use super::columns::Columns;
use super::frozen::{Body, Held, Orders, Rows};
use super::keyed::move_keys;
use super::restore::{Batch, RestoreError, restore};
use super::run::{Run, Spot};
use super::scan::Scan;
use super::slots::Slots;
use super::{
    Bounds, Cell, Cells, ColumnError, Expiry, Frozen, Groups, Memory, Reader, SpecError, Table,
    TableError, TableSpec, Writer, build_array,
};
use crate::chunked::{CHUNK, Chunked};
use crate::hash::hash_columns;
use crate::key_table::{ABSENT, KeyTable};
use crate::merge::Input;
use crate::sorted::order::{decode_orders, encode_orders};
use crate::sorted::{Age, Meta, Strings, group_of, order_word};

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
}

impl Ordered {
    /// An empty table.
    ///
    /// # Errors
    /// When the spec cannot be, or has no order.
    pub fn new(spec: TableSpec, groups: Groups) -> Result<Self, SpecError> {
        spec.check()?;
        let wrong = |problem: String| SpecError { table: spec.name.clone(), problem };
        if spec.order_fields().is_empty() {
            return Err(wrong("an ordered table needs order columns".to_owned()));
        }
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
        let (clock, bounds) = restore(&spec, groups, segments, |batch: &Batch<'_>| {
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

    /// Makes states for new keys; `group` is that of the key in a row of the batch.
    fn add_states(&mut self, group: impl Fn(usize) -> KeyGroup, key_slots: &[u32]) {
        let known = self.states.len();
        if self.keys.len() == known {
            return;
        }
        self.states.resize_with(self.keys.len(), || KeyState {
            group: KeyGroup(0),
            run: Run::default(),
            queued: i64::MAX,
        });
        self.key_chunk_listed.resize(self.keys.len().div_ceil(CHUNK), false);
        for (row, &key) in key_slots.iter().enumerate() {
            if key as usize >= known {
                self.states[key as usize].group = group(row);
            }
        }
    }

    /// Where a row of a key is, or would be.
    #[inline]
    fn find_row(&self, key: u32, order: &[u8]) -> (Spot, Option<u32>) {
        let run = &self.states[key as usize].run;
        let spot = run.lower_bound(|slot| self.order(slot) < order);
        (spot, run.get(spot).filter(|&slot| self.order(slot) == order))
    }

    #[inline]
    fn order(&self, slot: u32) -> &[u8] {
        self.orders.get(slot as usize).as_bytes()
    }

    /// A slot for a new row at its place.
    fn add_row(&mut self, key: u32, spot: Spot, order: &[u8]) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.slots.len();
            self.slots.grow(slot + 1);
            self.columns.grow(slot + 1);
            self.key_of.grow(slot + 1);
            self.orders.grow(slot + 1);
            slot as u32
        });
        self.columns.reset(slot);
        *self.key_of.get_mut(slot as usize) = key;
        let blob = Blob::new(order);
        self.order_heap += blob.heap();
        *self.orders.get_mut(slot as usize) = blob;
        self.change_run(key, |run| run.insert(spot, slot));
        if self.spec.expiry == Expiry::ByOrder {
            self.enqueue(key, order);
        }
        slot
    }

    fn change_run(&mut self, key: u32, change: impl FnOnce(&mut Run)) {
        let run = &mut self.states[key as usize].run;
        let before = run.bytes();
        change(run);
        self.run_bytes = self.run_bytes + run.bytes() - before;
    }

    /// Sees to it that the key is looked at when a row of this order expires.
    fn enqueue(&mut self, key: u32, order: &[u8]) {
        let time = (order_word(order) as i64) ^ i64::MIN;
        let state = &mut self.states[key as usize];
        if time < state.queued {
            state.queued = time;
            self.queue.push(Reverse((time, key)));
        }
    }

    /// Gives a slot back that has left its run.
    fn free_row(&mut self, slot: u32) {
        self.columns.release(slot);
        let order = self.orders.get_mut(slot as usize);
        self.order_heap -= order.heap();
        *order = Blob::default();
        self.free.push(slot);
    }

    /// A frozen row needs its key.
    #[inline]
    fn touch_key(&mut self, key: u32) {
        let chunk = key as usize / CHUNK;
        if !self.key_chunk_listed[chunk] {
            self.key_chunk_listed[chunk] = true;
            self.key_chunks.push(chunk as u32);
        }
    }

    #[inline]
    fn is_visible(&self, slot: u32, bound: u64) -> bool {
        self.slots.is_live(slot)
            && !self.spec.expiry.is_over(self.columns.stamp(slot), self.clock)
            && (bound == 0 || order_word(self.order(slot)) >= bound)
    }

    fn encode(&self, order: &[ArrayRef], rows: usize) -> Result<Strings, TableError> {
        let fields = self.spec.order_fields();
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
    /// in one batch the last counts. Rows below the expiry bound are left out.
    ///
    /// # Errors
    /// When columns are of other types than the table's, or NULL where that cannot be.
    pub fn put(
        &mut self,
        keys: &[ArrayRef],
        order: &[ArrayRef],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), TableError> {
        width("a row", columns.len(), self.spec.columns.len())?;
        let fields = self.spec.columns.iter();
        let cells = fields.zip(columns).map(|(field, column)| {
            if !field.nullable && column.null_count() > 0 {
                return Err(TableError::Null(field.name.clone()));
            }
            Ok(Cells::of(column.as_ref(), &field.data_type)?)
        });
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        let orders = self.encode(order, rows)?;
        let mut key_slots = Vec::new();
        self.keys.resolve(keys, rows, &mut key_slots)?;
        if self.keys.len() > self.states.len() {
            let hashes = hash_columns(keys, rows);
            let of = self.groups.of;
            self.add_states(|row| KeyGroup::of_hash(hashes.value(row), of), &key_slots);
        }
        for (row, &key) in key_slots.iter().enumerate() {
            let order = orders.get(row);
            if order_word(order) < self.bounds.word(self.states[key as usize].group) {
                continue;
            }
            let slot = match self.find_row(key, order) {
                (_, Some(slot)) => slot,
                (spot, None) => self.add_row(key, spot, order),
            };
            self.write_row(key, slot);
            for (column, cells) in cells.iter().enumerate() {
                self.columns.set(slot, column, cells.value(row));
            }
        }
        Ok(())
    }

    fn write_row(&mut self, key: u32, slot: u32) {
        self.slots.write(slot);
        self.columns.set_stamp(slot, self.clock);
        self.touch_key(key);
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
        self.keys.lookup(keys, rows, &mut key_slots)?;
        for (row, &key) in key_slots.iter().enumerate() {
            if key == ABSENT {
                continue;
            }
            if let (spot, Some(slot)) = self.find_row(key, orders.get(row))
                && self.slots.is_live(slot)
            {
                self.slots.remove(slot);
                if self.slots.is_vacant(slot) {
                    self.change_run(key, |run| run.remove(spot));
                    self.free_row(slot);
                } else {
                    self.columns.release(slot);
                    self.touch_key(key);
                }
            }
        }
        Ok(())
    }

    /// Removes every row of these keys, however many segments hold: by one marker a key.
    ///
    /// # Errors
    /// When columns are of other types than the key's.
    pub fn clear(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), TableError> {
        let mut key_slots = Vec::new();
        self.keys.lookup(keys, rows, &mut key_slots)?;
        key_slots.sort_unstable();
        key_slots.dedup();
        for key in key_slots {
            if key == ABSENT {
                continue;
            }
            let rows: Vec<u32> = self.states[key as usize].run.iter().collect();
            self.change_run(key, |run| *run = Run::default());
            // Only what a segment holds has to be hidden.
            if rows.iter().any(|&slot| self.slots.is_stored(slot)) {
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
    /// [`Table::sweep`].
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
        Ok(self.keys.lookup(keys, rows, key_slots)?)
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
        self.keys.lookup(keys, rows, slots)?;
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

    /// Says that the cells of these rows, which were found or scanned, are going to be written.
    pub fn touch(&mut self, slots: &[u32]) {
        for &slot in slots {
            self.write_row(*self.key_of.get(slot as usize), slot);
        }
    }

    /// Appends the slots of the next rows of a scan to `slots`, going by at most `limit` of
    /// them; `true` if there may be more. The scan goes on from there even if the table was
    /// written meanwhile, though not beyond [`Table::sweep`].
    pub fn scan(&self, scan: &mut Scan, limit: usize, slots: &mut Vec<u32>) -> bool {
        let Some(state) = self.states.get(scan.key as usize) else { return false };
        let run = &state.run;
        let bound = self.bounds.word(state.group);
        let place = |order: &[u8]| run.lower_bound(|slot| self.order(slot) < order);
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
        let field = self.spec.columns.get(column).ok_or(ColumnError { column })?;
        let values = slots.iter().map(|&slot| self.columns.value(slot, column));
        Ok(build_array(&field.data_type, values)?)
    }

    /// The order columns of these rows.
    ///
    /// # Errors
    /// When an order does not fit the table's types, which is a bug.
    pub fn orders(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, TableError> {
        let orders = slots.iter().map(|&slot| self.order(slot));
        Ok(decode_orders(self.spec.order_fields(), orders)?)
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

    /// Frees rows below the bound, at most about `limit`.
    fn sweep_below_bound(&mut self, limit: usize) -> usize {
        let lowest = self.bounds.lowest(self.groups.range);
        let (mut gone, mut steps) = (0, 0);
        while gone < limit && steps < limit {
            let Some(&Reverse((time, key))) = self.queue.peek() else { break };
            if time >= lowest {
                break;
            }
            self.queue.pop();
            steps += 1;
            let state = &self.states[key as usize];
            // A row that came later but is older has queued the key again.
            if state.queued != time {
                continue;
            }
            let bound = self.bounds.word(state.group);
            let spot = state.run.lower_bound(|slot| order_word(self.order(slot)) < bound);
            let mut rows = Vec::new();
            self.change_run(key, |run| run.remove_before(spot, &mut rows));
            for &slot in &rows {
                self.slots.vacate(slot);
                self.free_row(slot);
            }
            gone += rows.len();
            self.states[key as usize].queued = i64::MAX;
            if let Some(first) = self.states[key as usize].run.first() {
                let order = self.order(first).to_vec();
                self.enqueue(key, &order);
            }
        }
        gone
    }

    /// Frees rows that have lived their time, looking at most at `limit`.
    fn sweep_old(&mut self, limit: usize) -> usize {
        let (len, mut gone) = (self.slots.len() as u32, 0);
        for _ in 0..limit.min(len as usize) {
            let slot = self.hand;
            self.hand = (self.hand + 1) % len;
            if self.slots.is_live(slot)
                && self.spec.expiry.is_over(self.columns.stamp(slot), self.clock)
            {
                self.slots.vacate(slot);
                self.leave_run(slot);
                gone += 1;
            }
        }
        gone
    }

    /// Takes a vacant row out of its run and gives its slot back.
    fn leave_run(&mut self, slot: u32) {
        let key = *self.key_of.get(slot as usize);
        if let (spot, Some(found)) = self.find_row(key, self.order(slot))
            && found == slot
        {
            self.change_run(key, |run| run.remove(spot));
        }
        self.free_row(slot);
    }

    fn is_needed(&self, key: u32) -> bool {
        !self.states[key as usize].run.is_empty()
            || self.unpublished.contains_key(&key)
            || self.cleared.contains(&key)
    }

    /// Moves all keys and rows that are needed into new tables.
    fn move_together(&mut self) -> Result<(), TableError> {
        let kept: Vec<u32> =
            (0..self.states.len() as u32).filter(|&key| self.is_needed(key)).collect();
        let (keys, to) = move_keys(&self.keys, &self.spec, &kept)?;
        let mut moved =
            Self::new(self.spec.clone(), self.groups).map_err(|_| ColumnError { column: 0 })?;
        moved.keys = keys;
        moved.add_states(|row| self.states[kept[row] as usize].group, &to);
        let mut rows = Vec::with_capacity(self.slots.occupied());
        for (&key, &to) in kept.iter().zip(&to) {
            let mut run = std::mem::take(&mut self.states[key as usize].run);
            run.renumber(|slot| {
                rows.push(slot);
                (rows.len() - 1) as u32
            });
            moved.change_run(to, |empty| *empty = run);
        }
        moved.columns = self.columns.gather(&rows, &self.spec);
        moved.slots = self.slots.gather(&rows);
        moved.key_of.grow(rows.len());
        moved.orders.grow(rows.len());
        for (key, &to) in (0..).zip(&to) {
            let slots: Vec<u32> = moved.states[to as usize].run.iter().collect();
            for &slot in &slots {
                let order = self.orders.get(rows[slot as usize] as usize).clone();
                moved.order_heap += order.heap();
                *moved.orders.get_mut(slot as usize) = order;
                *moved.key_of.get_mut(slot as usize) = to;
                if moved.slots.is_dirty(slot) {
                    moved.touch_key(to);
                }
            }
            if let Some(&first) = slots.first()
                && self.spec.expiry == Expiry::ByOrder
            {
                let order = moved.order(first).to_vec();
                moved.enqueue(to, &order);
            }
            let from: u32 = kept[key];
            if self.cleared.contains(&from) {
                moved.cleared.insert(to);
                moved.touch_key(to);
            }
            if let Some(&age) = self.unpublished.get(&from) {
                moved.unpublished.insert(to, age);
            }
        }
        moved.bounds = std::mem::take(&mut self.bounds);
        moved.bounds_raised = self.bounds_raised;
        moved.clock = self.clock;
        moved.frozen = Arc::clone(&self.frozen);
        *self = moved;
        Ok(())
    }
}

fn width(what: &'static str, given: usize, wanted: usize) -> Result<(), TableError> {
    if given == wanted { Ok(()) } else { Err(TableError::Width { what, given, wanted }) }
}

impl Table for Ordered {
    fn spec(&self) -> &TableSpec {
        &self.spec
    }

    fn set_clock(&mut self, now: u32) {
        self.clock = self.clock.max(now);
    }

    fn is_dirty(&self) -> bool {
        self.slots.dirty() > 0 || !self.cleared.is_empty() || self.bounds_raised
    }

    fn freeze(&mut self, age: Age) -> Frozen {
        let chunks = self.slots.freeze(age);
        let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.chunk).collect();
        let mut key_chunks = std::mem::take(&mut self.key_chunks);
        key_chunks.sort_unstable();
        for &chunk in &key_chunks {
            self.key_chunk_listed[chunk as usize] = false;
        }
        let cleared: Vec<u32> = std::mem::take(&mut self.cleared).into_iter().collect();
        self.unpublished.extend(cleared.iter().map(|&key| (key, age)));
        self.bounds_raised = false;
        let columns = self.columns.freeze_chunks(&numbers, self.slots.chunks());
        let keys = self.keys.freeze_chunks(&key_chunks);
        let key_of = self.key_of.freeze_chunks(&numbers);
        let orders = self.orders.freeze_chunks(&numbers);
        let held = Held::new(&self.frozen, columns.bytes() + key_of.bytes() + orders.bytes());
        let (table, clock, bounds) = (self.spec.clone(), self.clock, self.bounds.clone());
        Frozen {
            age,
            groups: self.groups,
            meta: Meta { table, groups: self.groups.of, clock, bounds },
            body: Body::Rows(Rows {
                chunks,
                columns,
                keys,
                order: Some(Orders { key_of, orders, key_chunks, cleared }),
            }),
            _held: held,
        }
    }

    fn published(&mut self, up_to: Age) {
        self.unpublished.retain(|_, age| *age > up_to);
        for slot in self.slots.published(up_to) {
            self.leave_run(slot);
        }
    }

    fn sweep(&mut self, limit: usize) -> usize {
        let gone = match self.spec.expiry {
            Expiry::Never => 0,
            Expiry::ByOrder => self.sweep_below_bound(limit),
            Expiry::Ttl(_) => self.sweep_old(limit),
        };
        if self.slots.len() >= SMALL && self.slots.occupied() * 2 < self.slots.len() {
            // Keys that were stored as of the table's types always come back; if not, the table
            // stays as it is.
            let _ = self.move_together();
        }
        gone
    }

    fn memory(&self) -> Memory {
        let rows =
            self.columns.bytes() + self.key_of.bytes() + self.orders.bytes() + self.order_heap;
        let chunks = self.slots.chunks().max(1);
        let dirty = rows * self.slots.dirty_chunks() / chunks;
        Memory {
            dirty,
            frozen: self.frozen.load(Relaxed),
            clean: rows - dirty,
            index: self.keys.bytes()
                + self.slots.bytes()
                + self.states.capacity() * size_of::<KeyState>()
                + self.run_bytes
                + self.queue.capacity() * size_of::<(i64, u32)>()
                + self.free.capacity() * 4
                + self.cleared.len() * 8
                + self.unpublished.capacity() * 8 / 7 * (size_of::<(u32, Age)>() + 1),
        }
    }
}
