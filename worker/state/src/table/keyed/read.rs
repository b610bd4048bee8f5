//! A keyed table of which not every row is in memory.

use arrow::array::ArrayRef;

use super::Keyed;
use crate::key_table::ABSENT;
use crate::merge::MergeError;
use crate::sorted::Age;
use crate::table::read_through::{Announced, Found, Layer, ReadThrough};
use crate::table::{Groups, RestoreError, Table, TableError, TableSpec};

impl Keyed {
    /// A table on these segments, of which nothing is in memory. A batch must be announced and
    /// installed before its keys are resolved or looked up.
    ///
    /// # Errors
    /// When the spec cannot be, or a segment has a schema that cannot be taken over.
    pub fn open(spec: TableSpec, groups: Groups, layers: Vec<Layer>) -> Result<Self, RestoreError> {
        let mut table = Self::new(spec, groups)?;
        for layer in &layers {
            table.set_clock(layer.reader.meta().clock);
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
        self.slots.published(up_to);
        Ok(())
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
        let is_unknown = |slot: u32| slot == ABSENT || self.slots.is_vacant(slot);
        let (unknown, known): (Vec<_>, Vec<_>) =
            (0..).zip(slots).partition(|(_, slot)| is_unknown(*slot));
        known.iter().for_each(|(_, slot)| self.slots.mark_used(*slot));
        let unknown = unknown.into_iter().map(|(row, _)| row);
        through.announce(self.groups, keys, unknown.collect()).map(Some)
    }

    /// As [`Table::install`].
    pub(super) fn install_keys(&mut self, announced: &Announced) -> Result<bool, TableError> {
        if !self.read_through.as_ref().is_some_and(|through| through.accepts(announced)) {
            return Ok(false);
        }
        let counts = |found: &Found<'_>| {
            !found.is_tombstone() && !self.spec.expiry.is_over(found.stamp(), self.clock)
        };
        let (mut positions, mut rows) = (Vec::new(), Vec::new());
        for &position in announced.positions() {
            // A keyed row has no order: there is one at most.
            if let Some((_, found)) =
                announced.find(position).pop_first().filter(|(_, f)| counts(f))
            {
                positions.push(position);
                rows.push(found);
            }
        }
        let mut slots = Vec::new();
        self.slots_of(&announced.keys(positions)?, rows.len(), &mut slots)?;
        for (slot, found) in slots.into_iter().zip(rows) {
            self.install_row(slot, found.stamp(), found.values());
        }
        Ok(true)
    }
}
