//! The rows of one key in order: a list of sorted leaves.

use std::ops::{Range, RangeInclusive};

/// Rows of a leaf at most. Inserting moves half of them on average, half a kilobyte.
const LEAF: usize = 64;

/// A row of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// What tells most rows apart, beside the slot: to look at the row itself is a cache miss.
    word: u64,
    slot: u32,
}

/// Slots in the order of their rows. Few are one list; many are leaves of at most [`LEAF`]: with
/// a million rows an insertion moves a leaf, and once in 32 times also the list of leaves.
///
/// Each has a word of its row's order: of two rows the one with the smaller word is the first.
#[derive(Debug)]
pub(crate) enum Run {
    Few(Vec<Entry>),
    Many(Vec<Vec<Entry>>),
}

/// A place in a run: leaf and place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Spot {
    leaf: usize,
    at: usize,
}

impl Spot {
    /// At the first row of any run.
    pub(crate) const START: Self = Self { leaf: 0, at: 0 };
    /// Behind the last row of any run.
    pub(crate) const END: Self = Self { leaf: usize::MAX, at: 0 };
}

impl Default for Run {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Run {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Few(slots) => slots.is_empty(),
            Self::Many(leaves) => leaves.is_empty(),
        }
    }

    fn leaf(&self, leaf: usize) -> &[Entry] {
        match self {
            Self::Few(entries) if leaf == 0 => entries,
            Self::Few(_) => &[],
            Self::Many(leaves) => leaves.get(leaf).map_or(&[], Vec::as_slice),
        }
    }

    /// The first place whose row is not `before`; rows that are come first. Those with words below
    /// the range are, those above are not, and `before` is asked of those within alone.
    #[inline]
    pub(crate) fn lower_bound(
        &self,
        words: RangeInclusive<u64>,
        before: impl Fn(u32) -> bool,
    ) -> Spot {
        let (low, high) = words.into_inner();
        let before = |entry: &Entry| entry.word < low || (entry.word <= high && before(entry.slot));
        // Most rows come in order, and many go in it.
        if self.last().is_none_or(&before) {
            return self.end();
        }
        if !self.leaf(0).first().is_some_and(&before) {
            return Spot::START;
        }
        let leaf = match self {
            Self::Few(_) => 0,
            Self::Many(leaves) => leaves.partition_point(|leaf| leaf.last().is_some_and(&before)),
        };
        Spot { leaf, at: self.leaf(leaf).partition_point(before) }
    }

    /// The slot at a place.
    pub(crate) fn get(&self, spot: Spot) -> Option<u32> {
        self.leaf(spot.leaf).get(spot.at).map(|entry| entry.slot)
    }

    /// The slot before a place.
    pub(crate) fn get_before(&self, spot: Spot) -> Option<u32> {
        self.between(Spot::START..spot).next_back()
    }

    /// The first slot.
    pub(crate) fn first(&self) -> Option<u32> {
        self.get(Spot::START)
    }

    fn last(&self) -> Option<&Entry> {
        match self {
            Self::Few(entries) => entries.last(),
            Self::Many(leaves) => leaves.last()?.last(),
        }
    }

    fn end(&self) -> Spot {
        match self {
            Self::Few(slots) => Spot { leaf: 0, at: slots.len() },
            Self::Many(leaves) => Spot { leaf: leaves.len(), at: 0 },
        }
    }

    /// Inserts before a place that [`Run::lower_bound`] gave.
    pub(crate) fn insert(&mut self, spot: Spot, word: u64, slot: u32) {
        let entry = Entry { word, slot };
        match self {
            Self::Few(entries) => {
                entries.insert(spot.at, entry);
                if entries.len() > LEAF {
                    *self = Self::Many(split(&std::mem::take(entries)));
                }
            }
            Self::Many(leaves) => {
                // Past the end of all leaves is the end of the last one.
                let end = spot.leaf >= leaves.len();
                let number = spot.leaf.min(leaves.len().saturating_sub(1));
                let Some(leaf) = leaves.get_mut(number) else {
                    *self = Self::Few(vec![entry]);
                    return;
                };
                leaf.insert(if end { leaf.len() } else { spot.at }, entry);
                if leaf.len() > LEAF {
                    let halves = split(&std::mem::take(leaf));
                    leaves.splice(number..=number, halves);
                }
            }
        }
    }

    /// Takes out the slot at a place.
    pub(crate) fn remove(&mut self, spot: Spot) {
        match self {
            Self::Few(slots) => {
                slots.remove(spot.at);
                if slots.is_empty() {
                    *slots = Vec::new();
                }
            }
            Self::Many(leaves) => {
                leaves[spot.leaf].remove(spot.at);
                if leaves[spot.leaf].is_empty() {
                    leaves.remove(spot.leaf);
                }
                if leaves.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    /// Takes out all slots before a place.
    pub(crate) fn remove_before(&mut self, spot: Spot, removed: &mut Vec<u32>) {
        match self {
            Self::Few(slots) => {
                removed.extend(slots.drain(..spot.at).map(|entry| entry.slot));
                if slots.is_empty() {
                    *slots = Vec::new();
                }
            }
            Self::Many(leaves) => {
                let whole = spot.leaf.min(leaves.len());
                leaves.drain(..whole).for_each(|leaf| removed.extend(leaf.iter().map(|e| e.slot)));
                if let Some(leaf) = leaves.first_mut() {
                    removed.extend(leaf.drain(..spot.at).map(|entry| entry.slot));
                    if leaf.is_empty() {
                        leaves.remove(0);
                    }
                }
                if leaves.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    /// All slots in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.between(Spot::START..Spot::END)
    }

    /// The slots between two places, from either end.
    pub(crate) fn between(&self, range: Range<Spot>) -> Between<'_> {
        Between { run: self, range }
    }

    /// Renumbers the slots.
    pub(crate) fn renumber(&mut self, mut to: impl FnMut(u32) -> u32) {
        match self {
            Self::Few(entries) => entries.iter_mut().for_each(|entry| entry.slot = to(entry.slot)),
            Self::Many(leaves) => {
                leaves.iter_mut().flatten().for_each(|entry| entry.slot = to(entry.slot));
            }
        }
    }

    /// Memory in bytes beside the run itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Few(entries) => entries.capacity() * size_of::<Entry>(),
            // Each has room for a full leaf and one more.
            Self::Many(leaves) => {
                leaves.capacity() * size_of::<Vec<Entry>>()
                    + leaves.len() * (LEAF + 1) * size_of::<Entry>()
            }
        }
    }
}

fn split(full: &[Entry]) -> Vec<Vec<Entry>> {
    let half = |part: &[Entry]| {
        let mut leaf = Vec::with_capacity(LEAF + 1);
        leaf.extend_from_slice(part);
        leaf
    };
    let (left, right) = full.split_at(full.len() / 2);
    vec![half(left), half(right)]
}

/// Slots between two places.
#[derive(Clone, Debug)]
pub(crate) struct Between<'a> {
    run: &'a Run,
    range: Range<Spot>,
}

impl Iterator for Between<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let at = &mut self.range.start;
        if *at >= self.range.end {
            return None;
        }
        let slot = self.run.get(*at)?;
        at.at += 1;
        if at.at == self.run.leaf(at.leaf).len() {
            *at = Spot { leaf: at.leaf + 1, at: 0 };
        }
        Some(slot)
    }
}

impl DoubleEndedIterator for Between<'_> {
    fn next_back(&mut self) -> Option<u32> {
        let end = &mut self.range.end;
        if end.at == 0 {
            let leaves = match self.run {
                Run::Few(_) => 1,
                Run::Many(leaves) => leaves.len(),
            };
            let leaf = end.leaf.min(leaves).checked_sub(1)?;
            *end = Spot { leaf, at: self.run.leaf(leaf).len() };
        }
        if self.range.start >= *end {
            return None;
        }
        end.at = end.at.checked_sub(1)?;
        self.run.get(*end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One for several rows.
    fn word(slot: u32) -> u64 {
        u64::from(slot / 3)
    }

    fn find(run: &Run, slot: u32) -> Spot {
        run.lower_bound(word(slot)..=word(slot), |other| other < slot)
    }

    proptest! {
        #[test]
        fn a_run_is_a_sorted_list_however_long_it_grows(
            changes in prop::collection::vec((0_u32..600, 0_u8..10), 1..900),
            low in 0_u32..600, high in 0_u32..600, before in 0_u32..600,
        ) {
            let mut run = Run::default();
            let mut model = std::collections::BTreeSet::new();
            for (slot, kind) in changes {
                let spot = find(&run, slot);
                let there = run.get(spot) == Some(slot);
                prop_assert_eq!(there, model.contains(&slot));
                prop_assert_eq!(run.get_before(spot), model.range(..slot).next_back().copied());
                if kind > 1 && !there {
                    run.insert(spot, word(slot), slot);
                    model.insert(slot);
                } else if there {
                    run.remove(spot);
                    model.remove(&slot);
                }
                prop_assert_eq!(run.is_empty(), model.is_empty());
                prop_assert_eq!(run.first(), model.first().copied());
            }
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let range = find(&run, low)..find(&run, high);
            let wanted: Vec<u32> = if low < high { model.range(low..high).copied().collect() } else { Vec::new() };
            prop_assert_eq!(run.between(range.clone()).collect::<Vec<_>>(), wanted.clone());
            let backward: Vec<u32> = run.between(range).rev().collect();
            prop_assert_eq!(backward, wanted.into_iter().rev().collect::<Vec<_>>());
            let mut removed = Vec::new();
            run.remove_before(find(&run, before), &mut removed);
            prop_assert_eq!(removed, model.range(..before).copied().collect::<Vec<_>>());
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), model.range(before..).copied().collect::<Vec<_>>());
        }
    }
}
