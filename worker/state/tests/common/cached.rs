//! Tables of which most is in their segments, most of the time.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use weir_state::merge::Input;
use weir_state::sorted::Age;
use weir_state::table::{Announced, Groups, Layer, StoredTable, Table, TableSpec};

use super::world::Subject;

/// A kind of table that can read rows back.
pub(crate) trait ReadsThrough: Subject {
    type Key: Clone;

    fn columns(keys: &[Self::Key]) -> Vec<ArrayRef>;
    fn keys_of(change: &Self::Change) -> Vec<Self::Key>;
    /// Whether the change looks at rows, or only writes.
    fn needs_reading(change: &Self::Change) -> bool;
    fn all_keys() -> Vec<Self::Key>;
    fn is_in(groups: Groups, key: &Self::Key) -> bool;
}

/// Blocks come in any order, and some announcements are installed only when they are long out of
/// date; rows leave memory now and then.
pub(crate) struct Cached<T> {
    pub(crate) table: T,
    inputs: Vec<Input>,
    late: Vec<Announced>,
    /// Decides what a real run leaves to chance.
    chance: u64,
}

pub(crate) fn layer(input: &Input) -> Layer {
    Layer { reader: Arc::new(input.stored.reader().clone()), range: input.range }
}

fn layers(inputs: &[Input]) -> Vec<Layer> {
    inputs.iter().map(layer).collect()
}

impl<T: ReadsThrough> Cached<T> {
    fn next(&mut self, of: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) as usize % of.max(1)
    }

    fn trim(&mut self) {
        if let Some(&want) = [0, 1, usize::MAX].get(self.next(5)) {
            self.table.table().trim(want);
        }
    }

    /// What was announced of these keys and read; nothing if every row is in memory.
    fn fetched(&mut self, keys: &[T::Key]) -> Option<Announced> {
        let mut announced = self.table.table().announce(&T::columns(keys), keys.len()).unwrap()?;
        while !announced.is_ready() {
            let missing: Vec<_> = announced.missing().collect();
            let (segment, at) = missing[self.next(missing.len())];
            let of_segment = |i: &&Input| i.stored.reader().footer().id == segment;
            let input = self.inputs.iter().find(of_segment).unwrap();
            let bytes = input.stored.read(at).unwrap();
            announced.put(segment, at.number, &bytes).unwrap();
        }
        Some(announced)
    }

    /// Takes a batch of these keys: from here on they are in memory.
    pub(crate) fn take(&mut self, keys: &[T::Key]) {
        if let Some(announced) = self.fetched(keys) {
            assert!(self.table.table().install(&announced).unwrap());
        }
    }
}

impl<T: ReadsThrough> Subject for Cached<T> {
    type Change = T::Change;
    type Model = T::Model;
    type Seen = T::Seen;
    const LOOKS_EVERY: usize = 3;

    fn empty(spec: &TableSpec, groups: Groups) -> Self {
        Self::restore(spec, groups, &[])
    }

    /// As a whole or by its indexes alone: what comes later must be the same.
    fn restore(spec: &TableSpec, groups: Groups, inputs: &[Input]) -> Self {
        let mut table = T::empty(spec, groups);
        let stored = match (inputs.len() + usize::from(groups.range.start)) % 3 {
            0 => StoredTable::Whole(inputs.to_vec()),
            _ => StoredTable::Layers(layers(inputs)),
        };
        table.table().take_over(stored).unwrap();
        let (inputs, late) = (inputs.to_vec(), Vec::new());
        Self { table, inputs, late, chance: u64::from(groups.range.start) }
    }

    fn table(&mut self) -> &mut dyn Table {
        self.table.table()
    }

    fn published(&mut self, inputs: &[Input], up_to: Age) {
        self.inputs = inputs.to_vec();
        self.table.table().follow(layers(inputs), up_to).unwrap();
    }

    fn change(&mut self, groups: Groups, change: &T::Change) {
        let mut keys = T::keys_of(change);
        keys.retain(|key| T::is_in(groups, key));
        for late in std::mem::take(&mut self.late) {
            if self.next(2) == 0 {
                self.table.table().install(&late).unwrap();
            } else {
                self.late.push(late);
            }
        }
        if self.next(2) == 0 {
            let late = self.fetched(&keys);
            self.late.extend(late);
        }
        if T::needs_reading(change) || self.next(2) == 0 {
            self.take(&keys);
        }
        self.table.change(groups, change);
        self.trim();
    }

    fn change_model(spec: &TableSpec, model: &mut T::Model, clock: u32, change: &T::Change) {
        T::change_model(spec, model, clock, change);
    }

    /// What is looked at is in memory from then on, or leaves it at once.
    fn see(&mut self, groups: Groups) -> T::Seen {
        self.trim();
        let mut keys = T::all_keys();
        keys.retain(|key| T::is_in(groups, key));
        self.take(&keys);
        let seen = self.table.see(groups);
        self.trim();
        seen
    }

    fn see_model(spec: &TableSpec, model: &T::Model, clock: u32) -> T::Seen {
        T::see_model(spec, model, clock)
    }

    fn see_rows(rows: &[RecordBatch]) -> T::Seen {
        T::see_rows(rows)
    }
}
