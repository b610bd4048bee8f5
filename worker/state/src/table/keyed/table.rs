//! What the engine does with a keyed table.

use std::sync::atomic::Ordering::Relaxed;

use arrow::array::ArrayRef;
use weir_protocol::KeyGroup;

use super::{Keyed, SMALL};
use crate::hash::hash_columns;
use crate::merge::MergeError;
use crate::sorted::{Age, Meta};
use crate::table::columns::Columns;
use crate::table::frozen::{Body, Held, Rows};
use crate::table::read_through::{Evict, ReadThrough, trim};
use crate::table::{
    Announced, Bounds, Frozen, Layer, Memory, RestoreError, StoredTable, Table, TableError,
    TableSpec,
};

impl Keyed {
    /// Drops all slots but these, which ascend and become 0, 1, 2, …
    fn keep(&mut self, kept: &[u32]) {
        self.keys.keep(kept);
        self.columns = std::mem::replace(&mut self.columns, Columns::new(&self.spec)).keep(kept);
        self.slots = self.slots.keep(kept);
        if let Some(through) = &mut self.read_through {
            through.renumber(kept);
        }
        self.hand = 0;
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

impl Evict for Keyed {
    fn evict(&mut self, used: bool) {
        let goes = |slot: u32| self.is_evictable(slot) && (used || !self.slots.is_used(slot));
        let kept: Vec<u32> = self.occupied().filter(|&slot| !goes(slot)).collect();
        if kept.len() < self.slots.len() {
            self.keep(&kept);
            self.read_through.iter_mut().for_each(ReadThrough::trimmed);
        }
    }

    fn forget_used(&mut self) {
        self.slots.forget_used();
    }
}

impl Table for Keyed {
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
        self.slots.dirty() > 0
    }

    fn freeze(&mut self, age: Age) -> Frozen {
        let chunks = self.slots.freeze(age);
        if let Some(through) = &mut self.read_through {
            through.froze(age, &chunks);
        }
        let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.chunk).collect();
        if self.frozen.load(Relaxed) == 0 {
            self.columns.forget_copies();
        }
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
            self.keep(&kept);
        }
        gone
    }

    fn count_groups(
        &self,
        most: usize,
        count: &mut dyn FnMut(KeyGroup, u64),
    ) -> Result<(), TableError> {
        let (slots, each) = self.slots.spread(most);
        let keys = self.keys.keys(&slots)?;
        for hash in hash_columns(&keys, slots.len()).values() {
            count(KeyGroup::of_hash(*hash, self.groups.of), each);
        }
        Ok(())
    }

    fn memory(&self) -> Memory {
        let rows = self.columns.bytes() + self.keys.key_bytes();
        let chunks = self.slots.chunks().max(1);
        let in_flight = self.read_through.as_ref().map_or(0, ReadThrough::in_flight_chunks);
        let dirty = rows * (self.slots.dirty_chunks() + in_flight).min(chunks) / chunks;
        Memory {
            dirty,
            frozen: self.frozen.load(Relaxed).min(self.columns.copied_bytes()),
            clean: rows - dirty,
            index: self.keys.bytes() - self.keys.key_bytes()
                + self.slots.bytes()
                + self.read_through.as_ref().map_or(0, |through| through.bytes()),
        }
    }
}
