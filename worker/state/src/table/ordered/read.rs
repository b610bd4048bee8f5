//! An ordered table of which not every key is in memory.
//!
//! A key is read as a whole: all its rows, or none. Writing needs no reading: a row that is put,
//! removed or cleared stands in memory for itself, and what is read later goes around it.

use arrow::array::ArrayRef;
use weir_protocol::KeyGroupRange;

use super::Ordered;
use crate::key_table::ABSENT;
use crate::merge::MergeError;
use crate::sorted::{Age, group_of, order_word};
use crate::table::read_through::{Announced, Found, Layer, ReadThrough};
use crate::table::{Groups, RestoreError, Table, TableError, TableSpec};

impl Ordered {
    /// A table on these segments, of which nothing is in memory. A batch must be announced and
    /// installed before its keys are found or scanned; not before rows are put or removed, or
    /// keys cleared.
    ///
    /// # Errors
    /// When the spec cannot be, or a segment has a schema that cannot be taken over.
    pub fn open(spec: TableSpec, groups: Groups, layers: Vec<Layer>) -> Result<Self, RestoreError> {
        let mut table = Self::new(spec, groups)?;
        for Layer { reader, range } in &layers {
            table.set_clock(reader.meta().clock);
            let start = range.start.max(groups.range.start);
            let end = range.end.min(groups.range.end).max(start);
            table.bounds.raise_all(&reader.meta().bounds, KeyGroupRange { start, end });
        }
        table.read_through = Some(ReadThrough::new(&table.spec, layers)?);
        Ok(table)
    }

    /// As [`Table::follow`]. A tombstone may be forgotten only when the segments that are read say
    /// the same.
    pub(super) fn follow_layers(
        &mut self,
        layers: Vec<Layer>,
        up_to: Age,
    ) -> Result<(), MergeError> {
        if let Some(through) = &mut self.read_through {
            through.follow(&self.spec, layers, up_to)?;
        }
        self.forget_tombstones(up_to);
        Ok(())
    }

    pub(super) fn forget_tombstones(&mut self, up_to: Age) {
        self.unpublished.retain(|_, age| *age > up_to);
        for slot in self.slots.published(up_to) {
            self.leave_run(slot);
        }
    }

    /// As [`Table::announce`].
    pub(super) fn announce_keys(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
    ) -> Result<Option<Announced>, TableError> {
        let Some(through) = self.read_through.as_ref().filter(|t| !t.is_whole()) else {
            return Ok(None);
        };
        let mut slots = Vec::new();
        self.keys.lookup(keys, rows, &mut slots)?;
        let is_unknown = |key: u32| key == ABSENT || !self.states[key as usize].resident;
        let (unknown, known): (Vec<_>, Vec<_>) =
            (0..).zip(slots).partition(|(_, key)| is_unknown(*key));
        known.iter().for_each(|(_, key)| self.states[*key as usize].used = true);
        let unknown = unknown.into_iter().map(|(row, _)| row);
        through.announce(self.groups, keys, unknown.collect()).map(Some)
    }

    /// As [`Table::install`].
    pub(super) fn install_keys(&mut self, announced: &Announced) -> Result<bool, TableError> {
        if !self.read_through.as_ref().is_some_and(|through| through.accepts(announced)) {
            return Ok(false);
        }
        let positions = announced.positions();
        let mut key_slots = Vec::new();
        self.resolve_keys(&announced.keys(positions.to_vec())?, positions.len(), &mut key_slots)?;
        for (&position, &key) in positions.iter().zip(&key_slots) {
            // Read since it was announced, or cleared: nothing that is stored counts any more.
            if std::mem::replace(&mut self.states[key as usize].resident, true) {
                continue;
            }
            let bound = self.bounds.word(group_of(announced.prefix(position)));
            for (order, found) in announced.find(position) {
                self.install_row(key, order, found, bound);
            }
        }
        Ok(true)
    }

    fn install_row(&mut self, key: u32, order: &[u8], found: Found<'_>, bound: u64) {
        let gone = found.is_tombstone()
            || order_word(order) < bound
            || self.spec.expiry.is_over(found.stamp(), self.clock);
        if gone {
            return;
        }
        if let (spot, None) = self.find_row(key, order) {
            let slot = self.add_row(key, spot, order);
            self.slots.restore(slot);
            self.columns.set_stamp(slot, found.stamp());
            for (column, value) in found.values().enumerate() {
                self.columns.set(slot, column, value);
            }
        }
    }
}
