//! What is known of each slot: whether a row lives there, changed, or was ever stored.

use std::collections::{BTreeMap, HashMap};

use crate::chunked::CHUNK;
use crate::sorted::Age;

const WORDS: usize = CHUNK / 64;

/// One bit per slot of a chunk.
pub(crate) type Bits = [u64; WORDS];

/// The bits of 64 slots, side by side: a slot costs one cache line.
#[derive(Clone, Copy, Default, Debug)]
struct Word {
    live: u64,
    dirty: u64,
    stored: u64,
    /// Read or written since the last trim, as far as `dirty` does not say so.
    used: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Chunk {
    words: [Word; WORDS],
    /// Whether it is among the dirty chunks.
    listed: bool,
}

/// The slots of a table. Each is in one of these states:
///
/// | live | dirty | stored | |
/// |---|---|---|---|
/// | yes | yes | either | a row that changed since the last freeze |
/// | yes | no | yes | a clean row: segments hold it |
/// | no | yes | yes | a row that is gone; the next freeze says so: a tombstone |
/// | no | no | yes | a tombstone that was frozen and is not published yet |
/// | no | no | no | vacant |
///
/// *Stored* means that some frozen segment holds the row, published or not: what is frozen is
/// only discarded with the term, and everything here with it.
#[derive(Default, Debug)]
pub(crate) struct Slots {
    chunks: Vec<Chunk>,
    len: usize,
    dirty_chunks: Vec<u32>,
    occupied: usize,
    dirty: usize,
    /// Slots of tombstones that are not published yet, and the age at which they were frozen.
    unpublished: HashMap<u32, Age>,
}

/// What changed in one chunk up to a freeze.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrozenChunk {
    pub(crate) chunk: u32,
    pub(crate) live: Bits,
    pub(crate) dirty: Bits,
}

#[inline]
fn at(slot: u32) -> (usize, usize, u64) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK / 64, 1 << (slot % 64))
}

/// Whether a slot's bit is set.
pub(crate) fn is_set(chunks: &BTreeMap<u32, Bits>, slot: u32) -> bool {
    let (chunk, word, bit) = at(slot);
    chunks.get(&(chunk as u32)).is_some_and(|bits| bits[word] & bit != 0)
}

/// Sets a slot's bit.
pub(crate) fn set(chunks: &mut BTreeMap<u32, Bits>, slot: u32) {
    let (chunk, word, bit) = at(slot);
    chunks.entry(chunk as u32).or_default()[word] |= bit;
}

/// The positions of the set bits.
pub(crate) fn ones(bits: &Bits) -> impl Iterator<Item = u32> {
    bits.iter().enumerate().flat_map(|(i, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                i as u32 * 64 + bit
            })
        })
    })
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn grow(&mut self, len: usize) {
        self.len = self.len.max(len);
        self.chunks.resize(self.len.div_ceil(CHUNK), Chunk::default());
    }

    #[inline]
    fn word(&self, slot: u32) -> (&Word, u64) {
        let (chunk, word, bit) = at(slot);
        (&self.chunks[chunk].words[word], bit)
    }

    #[inline]
    pub(crate) fn is_live(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        word.live & bit != 0
    }

    #[inline]
    pub(crate) fn is_dirty(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        word.dirty & bit != 0
    }

    pub(crate) fn is_stored(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        word.stored & bit != 0
    }

    /// Whether nothing needs the slot any more.
    #[inline]
    pub(crate) fn is_vacant(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        (word.live | word.dirty | word.stored) & bit == 0
    }

    /// Whether segments hold the row as it is, once what was frozen of it is published.
    pub(crate) fn is_clean(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        word.live & word.stored & !word.dirty & bit != 0
    }

    pub(crate) fn is_used(&self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        (word.used | word.dirty) & bit != 0
    }

    /// Notes that the slot was read.
    #[inline]
    pub(crate) fn mark_used(&mut self, slot: u32) {
        let (chunk, word, bit) = at(slot);
        self.chunks[chunk].words[word].used |= bit;
    }

    /// From now on nothing counts as used but what changed.
    pub(crate) fn forget_used(&mut self) {
        self.chunks.iter_mut().flat_map(|chunk| &mut chunk.words).for_each(|word| word.used = 0);
    }

    /// Number of slots that are not vacant.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// At most so many of the slots in which rows live, evenly spread, and for how many rows each
    /// of them stands. Costs O(`most`), however many there are.
    pub(crate) fn spread(&self, most: usize) -> (Vec<u32>, u64) {
        let step = self.len.div_ceil(most.max(1)).max(1);
        let slots = (0..self.len as u32).step_by(step).filter(|&slot| self.is_live(slot));
        (slots.collect(), step as u64)
    }

    /// Number of slots that changed since the last freeze.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty
    }

    /// Number of chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Number of chunks with a slot that changed since the last freeze.
    pub(crate) fn dirty_chunks(&self) -> usize {
        self.dirty_chunks.len()
    }

    /// A row lives in the slot and changes; gives whether none lived there before.
    #[inline]
    pub(crate) fn write(&mut self, slot: u32) -> bool {
        let (word, bit) = self.word(slot);
        // Hot keys change again and again between two checkpoints.
        if word.live & word.dirty & bit != 0 {
            return false;
        }
        let was_live = word.live & bit != 0;
        self.change(slot, |word, bit| {
            word.live |= bit;
            word.dirty |= bit;
        });
        !was_live
    }

    /// The row is gone. It leaves a tombstone if a segment holds it.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.change(slot, |word, bit| {
            word.live &= !bit;
            word.dirty = word.dirty & !bit | word.stored & bit;
        });
    }

    /// The row is gone, and every copy of it is without being told: it expired, or everything of
    /// its key was cleared.
    pub(crate) fn vacate(&mut self, slot: u32) {
        self.change(slot, |word, bit| {
            word.live &= !bit;
            word.dirty &= !bit;
            word.stored &= !bit;
        });
    }

    /// The row was read from a segment.
    pub(crate) fn restore(&mut self, slot: u32) {
        self.change(slot, |word, bit| {
            word.live |= bit;
            word.stored |= bit;
        });
    }

    fn change(&mut self, slot: u32, change: impl FnOnce(&mut Word, u64)) {
        let (number, word, bit) = at(slot);
        let chunk = &mut self.chunks[number];
        let word = &mut chunk.words[word];
        let occupied = |word: &Word| (word.live | word.dirty | word.stored) & bit != 0;
        let (was_occupied, was_dirty) = (occupied(word), word.dirty & bit != 0);
        change(word, bit);
        let is_dirty = word.dirty & bit != 0;
        self.occupied = self.occupied + usize::from(occupied(word)) - usize::from(was_occupied);
        self.dirty = self.dirty + usize::from(is_dirty) - usize::from(was_dirty);
        if is_dirty && !chunk.listed {
            chunk.listed = true;
            self.dirty_chunks.push(number as u32);
        }
    }

    /// What changed since the last freeze, by chunk in ascending order; nothing counts as
    /// changed any more. O(dirty chunks), and O(1) for each tombstone.
    pub(crate) fn freeze(&mut self, age: Age) -> Vec<FrozenChunk> {
        let mut numbers = std::mem::take(&mut self.dirty_chunks);
        numbers.sort_unstable();
        self.dirty = 0;
        let frozen = numbers.into_iter().map(|number| {
            let chunk = &mut self.chunks[number as usize];
            chunk.listed = false;
            let mut frozen =
                FrozenChunk { chunk: number, live: Bits::default(), dirty: Bits::default() };
            let mut gone = Bits::default();
            for (i, word) in chunk.words.iter_mut().enumerate() {
                frozen.live[i] = word.live;
                frozen.dirty[i] = std::mem::take(&mut word.dirty);
                gone[i] = frozen.dirty[i] & !word.live;
                word.stored |= frozen.dirty[i];
                word.used |= frozen.dirty[i];
            }
            for slot in ones(&gone) {
                self.unpublished.insert(number * CHUNK as u32 + slot, age);
            }
            frozen
        });
        frozen.filter(|chunk| chunk.dirty != Bits::default()).collect()
    }

    /// Segments up to this age are published: they speak for the tombstones in them. Gives the
    /// slots that became vacant.
    pub(crate) fn published(&mut self, up_to: Age) -> Vec<u32> {
        let mut due = Vec::new();
        self.unpublished.retain(|&slot, age| {
            let keep = *age > up_to;
            if !keep {
                due.push(slot);
            }
            keep
        });
        // In an order that does not depend on hashing: slots are reused in it.
        due.sort_unstable();
        due.retain(|&slot| {
            // It may have been written, and removed again, since.
            let gone = !self.is_live(slot) && !self.is_dirty(slot) && self.is_stored(slot);
            if gone {
                self.vacate(slot);
            }
            gone
        });
        due
    }

    /// These slots as slots 0, 1, 2, …, each in the state it is in.
    pub(crate) fn keep(&self, slots: &[u32]) -> Self {
        let mut kept = Self::default();
        kept.grow(slots.len());
        for (to, &from) in slots.iter().enumerate() {
            let (live, dirty, stored) =
                (self.is_live(from), self.is_dirty(from), self.is_stored(from));
            let to = to as u32;
            kept.change(to, |word, bit| {
                let set = |on: bool| if on { bit } else { 0 };
                word.live |= set(live);
                word.dirty |= set(dirty);
                word.stored |= set(stored);
            });
            if let Some(&age) = self.unpublished.get(&from) {
                kept.unpublished.insert(to, age);
            }
        }
        kept
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
            + self.dirty_chunks.capacity() * 4
            // The entries of a hash table of std, seven in eight of them used at most.
            + self.unpublished.capacity() * 8 / 7 * (size_of::<(u32, Age)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::{Attempt, Term};

    use super::*;

    fn age(attempt: u64) -> Age {
        Age { term: Term(1), attempt: Attempt(attempt) }
    }

    #[test]
    fn a_row_that_no_segment_ever_held_leaves_no_tombstone() {
        let mut slots = Slots::default();
        slots.grow(600);
        slots.write(513);
        slots.remove(513);
        assert!(slots.is_vacant(513));
        assert!(slots.freeze(age(1)).is_empty());
    }

    #[test]
    fn a_tombstone_stays_until_the_age_that_froze_it_last_is_published() {
        let mut slots = Slots::default();
        slots.grow(1);
        slots.write(0);
        let _ = slots.freeze(age(1));
        slots.remove(0);
        let frozen = slots.freeze(age(2));
        assert_eq!((frozen[0].dirty[0], frozen[0].live[0]), (1, 0));
        slots.write(0);
        let _ = slots.freeze(age(3));
        slots.remove(0);
        let _ = slots.freeze(age(4));
        assert_eq!(slots.published(age(2)), Vec::<u32>::new());
        assert!(!slots.is_vacant(0), "the tombstone of age 4 is still needed");
        assert_eq!(slots.published(age(4)), vec![0]);
        assert!(slots.is_vacant(0));
    }
}
