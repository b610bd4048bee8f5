//! What the engine does with an ordered table.

use std::sync::atomic::Ordering::Relaxed;

use arrow::array::ArrayRef;
use weir_protocol::KeyGroup;

use super::{KeyState, Ordered, SMALL};
use crate::merge::MergeError;
use crate::sorted::{Age, Meta};
use crate::table::frozen::{Body, Held, Orders, Rows};
use crate::table::read_through::{Evict, ReadThrough, trim};
use crate::table::{
    Announced, Expiry, Frozen, Layer, Memory, RestoreError, StoredTable, Table, TableError,
    TableSpec,
};

impl Evict for Ordered {
    fn evict(&mut self, used: bool) {
        let goes = |key: u32| (used || !self.states[key as usize].used) && self.is_evictable(key);
        let kept: Vec<u32> = self.needed().into_iter().filter(|&key| !goes(key)).collect();
        if kept.len() < self.states.len() {
            self.keep(&kept);
            self.read_through.iter_mut().for_each(ReadThrough::trimmed);
        }
    }

    fn forget_used(&mut self) {
        self.states.iter_mut().for_each(|state| state.used = false);
    }
}

impl Table for Ordered {
    fn spec(&self) -> &TableSpec {
        &self.spec
    }

    fn take_over(&mut self, stored: StoredTable) -> Result<(), RestoreError> {
        let (spec, groups) = (self.spec.clone(), self.groups);
        *self = match stored {
            StoredTable::Layers(layers) => Self::open(spec, groups, layers)?,
            StoredTable::Whole(inputs) => {
                let mut table = Self::restore(spec, groups, &inputs)?;
                let layers = inputs.iter().map(Layer::of).collect();
                table.read_through = Some(ReadThrough::of_whole(&table.spec, layers)?);
                table
            }
        };
        Ok(())
    }

    fn set_clock(&mut self, now: u32) {
        self.clock = self.clock.max(now);
    }

    fn is_dirty(&self) -> bool {
        self.slots.dirty() > 0 || !self.cleared.is_empty() || self.bounds_raised
    }

    fn freeze(&mut self, age: Age) -> Frozen {
        let chunks = self.slots.freeze(age);
        if let Some(through) = &mut self.read_through {
            through.froze(age, &chunks);
        }
        let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.chunk).collect();
        let mut key_chunks = std::mem::take(&mut self.key_chunks);
        key_chunks.sort_unstable();
        for &chunk in &key_chunks {
            self.key_chunk_listed[chunk as usize] = false;
        }
        let cleared: Vec<u32> = std::mem::take(&mut self.cleared).into_iter().collect();
        self.unpublished.extend(cleared.iter().map(|&key| (key, age)));
        self.bounds_raised = false;
        if self.frozen.load(Relaxed) == 0 {
            self.columns.forget_copies();
            self.key_of.forget_copies();
            self.orders.forget_copies();
        }
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
        if self.read_through.is_none() {
            self.forget_tombstones(up_to);
        }
    }

    fn follow(&mut self, layers: Vec<Layer>, up_to: Age) -> Result<(), MergeError> {
        self.follow_layers(layers, up_to)
    }

    fn announce(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
    ) -> Result<Option<Announced>, TableError> {
        self.announce_keys(keys, rows)
    }

    fn install(&mut self, announced: &Announced) -> Result<bool, TableError> {
        self.install_keys(announced)
    }

    fn trim(&mut self, want: usize) -> usize {
        if self.read_through.is_none() {
            return 0;
        }
        trim(self, want)
    }

    fn sweep(&mut self, limit: usize) -> usize {
        let gone = match self.spec.expiry {
            Expiry::Never => 0,
            Expiry::ByOrder => self.sweep_below_bound(limit),
            Expiry::Ttl(_) => self.sweep_old(limit),
        };
        if self.slots.len() >= SMALL && self.slots.occupied() * 2 < self.slots.len() {
            self.keep(&self.needed());
        }
        gone
    }

    fn count_groups(
        &self,
        most: usize,
        count: &mut dyn FnMut(KeyGroup, u64),
    ) -> Result<(), TableError> {
        let (slots, each) = self.slots.spread(most);
        for slot in slots {
            count(self.states[*self.key_of.get(slot as usize) as usize].group, each);
        }
        Ok(())
    }

    fn memory(&self) -> Memory {
        let rows = self.columns.bytes()
            + self.key_of.bytes()
            + self.orders.bytes()
            + self.order_heap
            + self.keys.key_bytes();
        let chunks = self.slots.chunks().max(1);
        let in_flight = self.read_through.as_ref().map_or(0, ReadThrough::in_flight_chunks);
        let copied =
            self.columns.copied_bytes() + self.key_of.copied_bytes() + self.orders.copied_bytes();
        let dirty = rows * (self.slots.dirty_chunks() + in_flight).min(chunks) / chunks;
        Memory {
            dirty,
            frozen: self.frozen.load(Relaxed).min(copied),
            clean: rows - dirty,
            index: self.keys.bytes() - self.keys.key_bytes()
                + self.slots.bytes()
                + self.states.capacity() * size_of::<KeyState>()
                + self.run_bytes
                + self.queue.capacity() * size_of::<(i64, u32)>()
                + self.read_through.as_ref().map_or(0, |through| through.bytes())
                + self.free.capacity() * 4
                + self.cleared.len() * 8
                + self.unpublished.capacity() * 8 / 7 * (size_of::<(u32, Age)>() + 1),
        }
    }
}
