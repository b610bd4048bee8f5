//! Open addressing from a 64-bit word to a dense slot.
//!
//! The word is the key itself for keys of at most 64 bits, else a hash that the caller verifies.
//! Word and slot lie side by side, so that a probe costs one cache line.

#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    word: u64,
    /// Slot + 1; 0 is free.
    slot: u32,
}

/// Rows resolved together: their first probes are independent loads, which the processor
/// overlaps; only rows whose first probe missed take the slow path afterwards.
const BLOCK: usize = 256;
const SMALLEST: usize = 64;

/// What a lookup gives for a key that is not there.
pub(crate) const ABSENT: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    shift: u32,
    used: usize,
}

/// Spreads a word over the high bits: one wide multiplication, folded.
#[inline]
pub(crate) fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F;
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Index {
    pub(crate) fn with_capacity(keys: usize) -> Self {
        let size = (keys.max(SMALLEST / 2) * 2).next_power_of_two();
        Self { entries: vec![Entry::default(); size], shift: 64 - size.trailing_zeros(), used: 0 }
    }

    #[inline]
    fn start(&self, word: u64) -> usize {
        (mix(word) >> self.shift) as usize
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
            let misses = self.first_probes(cx, base, words, slots, &mut missed, &same);
            for &row in &missed[..misses] {
                let row = row as usize;
                slots[row] = self.find_or_insert(cx, words[row], base + row, &same, &mut insert);
            }
            base += words.len();
        }
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
        slots.extend(words.iter().enumerate().map(|(row, &word)| {
            let mut at = self.start(word);
            loop {
                let entry = self.entries[at];
                if entry.slot == 0 {
                    return ABSENT;
                }
                if entry.word == word && same(cx, row, entry.slot - 1) {
                    return entry.slot - 1;
                }
                at = (at + 1) & (self.entries.len() - 1);
            }
        }));
    }

    #[inline]
    fn first_probes<C>(
        &self,
        cx: &C,
        base: usize,
        words: &[u64],
        slots: &mut [u32],
        missed: &mut [u32; BLOCK],
        same: &impl Fn(&C, usize, u32) -> bool,
    ) -> usize {
        let entries = self.entries.as_slice();
        let mask = entries.len() - 1;
        let mut misses = 0;
        for (row, (&word, slot)) in words.iter().zip(slots.iter_mut()).enumerate() {
            let entry = entries[self.start(word) & mask];
            *slot = entry.slot.wrapping_sub(1);
            let hit = entry.slot != 0 && entry.word == word && same(cx, base + row, *slot);
            missed[misses & (BLOCK - 1)] = row as u32;
            misses += usize::from(!hit);
        }
        misses
    }

    #[inline]
    fn find_or_insert<C>(
        &mut self,
        cx: &mut C,
        word: u64,
        row: usize,
        same: &impl Fn(&C, usize, u32) -> bool,
        insert: &mut impl FnMut(&mut C, usize) -> u32,
    ) -> u32 {
        let mask = self.entries.len() - 1;
        let mut at = self.start(word) & mask;
        loop {
            let entry = self.entries[at];
            if entry.slot == 0 {
                break;
            }
            if entry.word == word && same(cx, row, entry.slot - 1) {
                return entry.slot - 1;
            }
            at = (at + 1) & mask;
        }
        let slot = insert(cx, row);
        self.entries[at] = Entry { word, slot: slot + 1 };
        self.used += 1;
        // At most half full: two in three keys of a full table sit where they are looked for.
        if self.used * 2 > self.entries.len() {
            self.double();
        }
        slot
    }

    #[cold]
    #[inline(never)]
    fn double(&mut self) {
        let mut larger = Self::with_capacity(self.entries.len());
        let mask = larger.entries.len() - 1;
        for entry in &self.entries {
            if entry.slot != 0 {
                let mut at = larger.start(entry.word) & mask;
                while larger.entries[at].slot != 0 {
                    at = (at + 1) & mask;
                }
                larger.entries[at] = *entry;
            }
        }
        larger.used = self.used;
        *self = larger;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
    }
}
