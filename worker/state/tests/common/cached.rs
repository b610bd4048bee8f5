//! Tables of which most is in their segments, most of the time.

use std::sync::Arc;

use weir_state::merge::Input;
use weir_state::sorted::Age;
use weir_state::table::{Announced, Groups, Layer, Table, TableSpec};

use super::world::Subject;

/// A kind of table that can read rows back.
pub(crate) trait ReadsThrough: Subject {
    type Key: Clone;

    fn open(spec: &TableSpec, groups: Groups, layers: Vec<Layer>) -> Self;
    fn follow(&mut self, layers: Vec<Layer>, up_to: Age);
    fn announce(&mut self, keys: &[Self::Key]) -> Announced;
    fn install(&mut self, announced: &Announced) -> bool;
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

fn layers(inputs: &[Input]) -> Vec<Layer> {
    let layer = |input: &Input| Layer {
        reader: Arc::new(input.stored.reader().clone()),
        range: input.range,
    };
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

    fn fetched(&mut self, keys: &[T::Key]) -> Announced {
        let mut announced = self.table.announce(keys);
        let mut missing: Vec<_> = announced.missing().collect();
        // A segment that counts for several ranges gives a block to all of them at once.
        while !announced.is_ready() {
            let (segment, at) = missing.swap_remove(self.next(missing.len()));
            let of_segment = |i: &&Input| i.stored.reader().footer().id == segment;
            let input = self.inputs.iter().find(of_segment).unwrap();
            let bytes = input.stored.read(at).unwrap();
            announced.put(segment, at.number, &bytes).unwrap();
        }
        announced
    }

    /// Takes a batch of these keys: from here on they are in memory.
    pub(crate) fn take(&mut self, keys: &[T::Key]) {
        let announced = self.fetched(keys);
        assert!(self.table.install(&announced));
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

    fn restore(spec: &TableSpec, groups: Groups, inputs: &[Input]) -> Self {
        let table = T::open(spec, groups, layers(inputs));
        let (inputs, late) = (inputs.to_vec(), Vec::new());
        Self { table, inputs, late, chance: u64::from(groups.range.start) }
    }

    fn table(&mut self) -> &mut dyn Table {
        self.table.table()
    }

    fn published(&mut self, inputs: &[Input], up_to: Age) {
        self.inputs = inputs.to_vec();
        self.table.follow(layers(inputs), up_to);
    }

    fn change(&mut self, groups: Groups, change: &T::Change) {
        let mut keys = T::keys_of(change);
        keys.retain(|key| T::is_in(groups, key));
        for late in std::mem::take(&mut self.late) {
            if self.next(2) == 0 {
                self.table.install(&late);
            } else {
                self.late.push(late);
            }
        }
        if self.next(2) == 0 {
            let late = self.fetched(&keys);
            self.late.push(late);
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
}
