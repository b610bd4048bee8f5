//! Open addressing from a 64-bit word to a dense slot.
//!
//! The word is the key itself for keys of at most 64 bits, else a hash that the caller verifies.
//! Word and slot lie side by side, so that a probe costs one cache line.
//!
//! A small index is one array. A large one is [`SHARDS`] of them, told apart by bits of the hash,
//! and each grows by itself, by a quarter: the index never holds much more than its keys need,
//! and no batch pays for moving all of them at once.

#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    word: u64,
    /// Slot + 1; 0 is free.
    slot: u32,
}

/// An entry that is free.
static FREE: Entry = Entry { word: 0, slot: 0 };

/// Rows resolved together: their first probes are independent loads, which the processor
/// overlaps; only rows whose first probe missed take the slow path afterwards.
const BLOCK: usize = 256;
const SMALLEST: usize = 64;
/// Entries up to which an index is one array: a megabyte.
const SMALL: usize = 1 << 16;
/// Arrays of a larger one.
const SHARDS: usize = 256;

/// What a lookup gives for a key that is not there.
pub(crate) const ABSENT: u32 = u32::MAX;

/// One array of entries, at most half full: two in three keys of a full one sit where they are
/// looked for.
#[derive(Clone, Debug)]
struct Shard {
    entries: Box<[Entry]>,
    used: usize,
}

impl Shard {
    fn of_size(size: usize) -> Self {
        Self { entries: vec![Entry::default(); size].into(), used: 0 }
    }

    /// Where a key of this hash is looked for first: its low half, scaled to the array.
    #[inline]
    fn start(&self, hash: u64) -> usize {
        (((hash & 0xFFFF_FFFF) * self.entries.len() as u64) >> 32) as usize
    }

    /// Puts in a word that is not there.
    fn insert(&mut self, entry: Entry) {
        let mut at = self.start(mix(entry.word));
        while self.entries[at].slot != 0 {
            at = if at + 1 == self.entries.len() { 0 } else { at + 1 };
        }
        self.entries[at] = entry;
        self.used += 1;
    }

    fn is_full(&self) -> bool {
        self.used * 2 > self.entries.len()
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, size: usize) {
        let smaller = std::mem::replace(self, Self::of_size(size));
        smaller.entries.iter().filter(|entry| entry.slot != 0).for_each(|&e| self.insert(e));
    }
}

/// Words and their slots; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// One, or [`SHARDS`].
    shards: Vec<Shard>,
}

/// Spreads a word over all bits: one wide multiplication, folded.
#[inline]
pub(crate) fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F;
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Which shard of many holds a hash.
#[inline]
fn shard_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

impl Index {
    /// With room for so many keys.
    pub(crate) fn with_capacity(keys: usize) -> Self {
        let size = (keys.max(SMALLEST / 2) * 2).next_power_of_two();
        if size <= SMALL {
            return Self { shards: vec![Shard::of_size(size)] };
        }
        // Some get more than their part: four deviations of it, and whoever needs more grows.
        let part = keys / SHARDS;
        let size = (part + 4 * part.isqrt()) * 2;
        Self { shards: (0..SHARDS).map(|_| Shard::of_size(size)).collect() }
    }

    /// Of the words of so many keys, all of them different, each with its slot.
    pub(crate) fn of(keys: usize, words: impl Iterator<Item = (u64, u32)>) -> Self {
        let mut index = Self::with_capacity(keys);
        words.for_each(|(word, slot)| index.insert(Entry { word, slot: slot + 1 }));
        index
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        if let [one] = self.shards.as_slice() { one } else { &self.shards[shard_of(hash)] }
    }

    /// The slot of each word in `slots`. `same(row, slot)` confirms that the row's key is the
    /// one in the slot; `insert(row)` makes a new slot.
    pub(crate) fn resolve<C>(
        &mut self,
        cx: &mut C,
        words: &[u64],
        slots: &mut Vec<u32>,
        same: impl Fn(&C, usize, u32) -> bool,
        mut insert: impl FnMut(&mut C, usize) -> u32,
    ) {
        slots.clear();
        slots.resize(words.len(), 0);
        let mut missed = [0_u32; BLOCK];
        let mut base = 0;
        for (words, slots) in words.chunks(BLOCK).zip(slots.chunks_mut(BLOCK)) {
            let same_row = |row: usize, slot| same(cx, base + row, slot);
            let misses = self.first_probes(words, slots, &mut missed, same_row);
            for &row in &missed[..misses] {
                let row = row as usize;
                slots[row] = match self.find(words[row], |slot| same(cx, base + row, slot)) {
                    ABSENT => {
                        let slot = insert(cx, base + row);
                        self.insert(Entry { word: words[row], slot: slot + 1 });
                        slot
                    }
                    slot => slot,
                };
            }
            base += words.len();
        }
    }

    /// Looks once for each word of a block; gives how many were not found at their first place, and
    /// in `missed` which.
    #[inline]
    fn first_probes(
        &self,
        words: &[u64],
        slots: &mut [u32],
        missed: &mut [u32; BLOCK],
        same: impl Fn(usize, u32) -> bool,
    ) -> usize {
        let mut misses = 0;
        let mut look = |row: usize, entry: Entry| {
            let slot = &mut slots[row];
            *slot = entry.slot.wrapping_sub(1);
            let hit = entry.slot != 0 && entry.word == words[row] && same(row, *slot);
            missed[misses & (BLOCK - 1)] = row as u32;
            misses += usize::from(!hit);
        };
        match self.shards.as_slice() {
            [one] => {
                for (row, &word) in words.iter().enumerate() {
                    look(row, one.entries[one.start(mix(word))]);
                }
            }
            many => {
                // First where, then what is there: the less there is to do between two loads, the
                // more of them the processor has on their way at a time.
                let mut places: [&Entry; BLOCK] = [&FREE; BLOCK];
                for (place, &word) in places.iter_mut().zip(words) {
                    let hash = mix(word);
                    let shard = &many[shard_of(hash)];
                    *place = &shard.entries[shard.start(hash)];
                }
                places.iter().take(words.len()).enumerate().for_each(|(row, &&e)| look(row, e));
            }
        }
        misses
    }

    /// The slot of each word, or [`ABSENT`].
    pub(crate) fn lookup<C>(
        &self,
        cx: &C,
        words: &[u64],
        slots: &mut Vec<u32>,
        same: impl Fn(&C, usize, u32) -> bool,
    ) {
        slots.clear();
        let words = words.iter().enumerate();
        slots.extend(words.map(|(row, &word)| self.find(word, |slot| same(cx, row, slot))));
    }

    /// The slot of a word, or [`ABSENT`].
    #[inline]
    fn find(&self, word: u64, same: impl Fn(u32) -> bool) -> u32 {
        let hash = mix(word);
        let shard = self.shard(hash);
        let mut at = shard.start(hash);
        loop {
            let entry = shard.entries[at];
            if entry.slot == 0 {
                return ABSENT;
            }
            if entry.word == word && same(entry.slot - 1) {
                return entry.slot - 1;
            }
            at = if at + 1 == shard.entries.len() { 0 } else { at + 1 };
        }
    }

    /// Puts in a word that is not there.
    #[inline]
    fn insert(&mut self, entry: Entry) {
        if let [one] = self.shards.as_mut_slice() {
            one.insert(entry);
            if one.is_full() {
                self.grow_small();
            }
            return;
        }
        let shard = &mut self.shards[shard_of(mix(entry.word))];
        shard.insert(entry);
        if shard.is_full() {
            shard.grow(shard.entries.len() / 4 * 5);
        }
    }

    /// One array becomes twice as large, or many.
    #[cold]
    #[inline(never)]
    fn grow_small(&mut self) {
        let larger = Self::with_capacity(self.shards[0].entries.len());
        let small = std::mem::replace(self, larger);
        let entries = small.shards.into_iter().flat_map(|shard| shard.entries);
        entries.filter(|entry| entry.slot != 0).for_each(|entry| self.insert(entry));
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let entries: usize = self.shards.iter().map(|shard| shard.entries.len()).sum();
        entries * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_grows_by_little_once_it_is_large() {
        let mut index = Index::with_capacity(0);
        let (mut slots, mut keys) = (Vec::new(), 0_u64);
        let (mut before, mut most) = (index.bytes(), 0.0_f64);
        while keys < 1_000_000 {
            let words: Vec<u64> = (keys..keys + 500).collect();
            index.resolve(
                &mut keys,
                &words,
                &mut slots,
                |_, _, _| true,
                |keys, _| {
                    *keys += 1;
                    (*keys - 1) as u32
                },
            );
            assert!(slots.iter().map(|&slot| u64::from(slot)).eq(words), "each in its turn");
            if keys > 100_000 {
                most = most.max(index.bytes() as f64 / keys as f64);
                assert!(index.bytes() < before / 4 * 5, "{before} to {} at once", index.bytes());
            }
            before = index.bytes();
        }
        assert!(most < 45.0, "{most} bytes a key");
        let words: Vec<u64> = (0..keys + 10).collect();
        index.lookup(&(), &words, &mut slots, |(), _, _| true);
        assert!(slots[..keys as usize].iter().map(|&slot| u64::from(slot)).eq(0..keys));
        assert!(slots[keys as usize..].iter().all(|&slot| slot == ABSENT));
        let rebuilt = Index::of(keys as usize, (0..keys).map(|key| (key, key as u32)));
        let mut again = Vec::new();
        rebuilt.lookup(&(), &words, &mut again, |(), _, _| true);
        assert_eq!(slots, again);
    }
}
