//! Rows and keys coming and going, one at a time.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use arrow::array::ArrayRef;
use weir_protocol::KeyGroup;

use super::{KeyState, Ordered};
use crate::chunked::CHUNK;
use crate::hash::hash_columns;
use crate::key_table::ABSENT;
use crate::sorted::order::{NULL_FIRST, VALUE};
use crate::sorted::{order_time, order_word};
use crate::table::blob::Blob;
use crate::table::read_through::ReadThrough;
use crate::table::run::{Run, Spot};
use crate::table::{Cells, Expiry, TableError};

impl Ordered {
    /// The slot of each key, a new one if it has none.
    pub(super) fn resolve_keys(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        key_slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        self.keys.resolve(keys, rows, key_slots)?;
        if self.keys.len() > self.states.len() {
            let hashes = hash_columns(keys, rows);
            let of = self.groups.of;
            self.add_states(|row| KeyGroup::of_hash(hashes.value(row), of), key_slots);
        }
        self.mark_used(key_slots);
        Ok(())
    }

    /// The slot of each key that may have rows, in memory or not.
    pub(super) fn known(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        key_slots: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        if self.read_through.is_some() {
            self.resolve_keys(keys, rows, key_slots)
        } else {
            Ok(self.keys.lookup(keys, rows, key_slots)?)
        }
    }

    pub(super) fn mark_used(&mut self, key_slots: &[u32]) {
        if self.read_through.is_some() {
            for &key in key_slots.iter().filter(|&&key| key != ABSENT) {
                self.states[key as usize].used = true;
            }
        }
    }

    /// A row that is new in memory: a segment may hold an older one of its key.
    pub(super) fn may_be_stored(&mut self, key: u32, slot: u32) {
        if !self.states[key as usize].resident {
            self.slots.restore(slot);
        }
    }

    /// Makes states for new keys; `group` is that of the key in a row of the batch.
    pub(super) fn add_states(&mut self, group: impl Fn(usize) -> KeyGroup, key_slots: &[u32]) {
        let known = self.states.len();
        if self.keys.len() == known {
            return;
        }
        let resident = self.read_through.as_ref().is_none_or(ReadThrough::is_whole);
        self.states.resize_with(self.keys.len(), || KeyState {
            group: KeyGroup(0),
            run: Run::default(),
            queued: i64::MAX,
            resident,
            used: true,
        });
        self.key_chunk_listed.resize(self.keys.len().div_ceil(CHUNK), false);
        for (row, &key) in key_slots.iter().enumerate() {
            if key as usize >= known {
                self.states[key as usize].group = group(row);
            }
        }
    }

    /// The first place of a key's run whose row does not sort before this order.
    #[inline]
    pub(super) fn place(&self, key: u32, order: &[u8]) -> Spot {
        let word = *self.words(order).start();
        let run = &self.states[key as usize].run;
        run.lower_bound(word..=word, |slot| self.order(slot) < order)
    }

    /// The first place of a key's run whose row sorts after all that begin with this.
    #[inline]
    pub(super) fn place_behind(&self, key: u32, prefix: &[u8]) -> Spot {
        let run = &self.states[key as usize].run;
        run.lower_bound(self.words(prefix), |slot| {
            let order = self.order(slot);
            &order[..order.len().min(prefix.len())] <= prefix
        })
    }

    /// The words of orders that begin with this, for [`Run`]: eight bytes behind what tells NULL
    /// from a value, which would leave only seven of it.
    #[inline]
    fn words(&self, order: &[u8]) -> RangeInclusive<u64> {
        let value = match (self.first_is_nullable, order) {
            (false, value) | (true, [VALUE, value @ ..]) => value,
            (true, [] | [NULL_FIRST, ..]) => return 0..=0,
            (true, _) => return u64::MAX..=u64::MAX,
        };
        let word = order_word(value);
        let missing = 8 - value.len().min(8) as u32;
        let high = if missing == 0 { word } else { word | (u64::MAX >> (64 - 8 * missing)) };
        word..=high
    }

    /// Where a row of a key is, or would be.
    #[inline]
    pub(super) fn find_row(&self, key: u32, order: &[u8]) -> (Spot, Option<u32>) {
        let spot = self.place(key, order);
        let run = &self.states[key as usize].run;
        (spot, run.get(spot).filter(|&slot| self.order(slot) == order))
    }

    #[inline]
    pub(super) fn order(&self, slot: u32) -> &[u8] {
        self.orders.get(slot as usize).as_bytes()
    }

    /// A slot for a new row at its place.
    pub(super) fn add_row(&mut self, key: u32, spot: Spot, order: &[u8]) -> u32 {
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
        let word = *self.words(order).start();
        self.change_run(key, |run| run.insert(spot, word, slot));
        if self.spec.expiry == Expiry::ByOrder {
            self.enqueue(key, order);
        }
        slot
    }

    pub(super) fn change_run(&mut self, key: u32, change: impl FnOnce(&mut Run)) {
        let run = &mut self.states[key as usize].run;
        let before = run.bytes();
        change(run);
        self.run_bytes = self.run_bytes + run.bytes() - before;
    }

    /// Sees to it that the key is looked at when a row of this order expires.
    pub(super) fn enqueue(&mut self, key: u32, order: &[u8]) {
        let time = order_time(order);
        let state = &mut self.states[key as usize];
        if time < state.queued {
            state.queued = time;
            self.queue.push(Reverse((time, key)));
        }
    }

    /// Gives a slot back that has left its run.
    pub(super) fn free_row(&mut self, slot: u32) {
        self.columns.release(slot);
        let order = self.orders.get_mut(slot as usize);
        self.order_heap -= order.heap();
        *order = Blob::default();
        self.free.push(slot);
    }

    /// A frozen row needs its key.
    #[inline]
    pub(super) fn touch_key(&mut self, key: u32) {
        let chunk = key as usize / CHUNK;
        if !self.key_chunk_listed[chunk] {
            self.key_chunk_listed[chunk] = true;
            self.key_chunks.push(chunk as u32);
        }
    }

    #[inline]
    pub(super) fn is_visible(&self, slot: u32, bound: u64) -> bool {
        self.slots.is_live(slot)
            && !self.spec.expiry.is_over(self.columns.stamp(slot), self.clock)
            && (bound == 0 || order_word(self.order(slot)) >= bound)
    }

    /// Removes a row that is at this place of its key's run.
    pub(super) fn remove_row(&mut self, key: u32, spot: Spot, slot: u32) {
        self.slots.remove(slot);
        if self.slots.is_vacant(slot) {
            self.change_run(key, |run| run.remove(spot));
            self.free_row(slot);
        } else {
            self.columns.release(slot);
            self.touch_key(key);
        }
    }

    /// Writes a row of a batch.
    pub(super) fn fill_row(&mut self, key: u32, slot: u32, cells: &[Cells<'_>], row: usize) {
        self.write_row(key, slot);
        for (column, cells) in cells.iter().enumerate() {
            self.columns.set(slot, column, cells.value(row));
        }
    }

    pub(super) fn write_row(&mut self, key: u32, slot: u32) {
        self.slots.write(slot);
        self.columns.set_stamp(slot, self.clock);
        self.touch_key(key);
    }

    /// Takes a vacant row out of its run and gives its slot back.
    pub(super) fn leave_run(&mut self, slot: u32) {
        let key = *self.key_of.get(slot as usize);
        if let (spot, Some(found)) = self.find_row(key, self.order(slot))
            && found == slot
        {
            self.change_run(key, |run| run.remove(spot));
        }
        self.free_row(slot);
    }
}
