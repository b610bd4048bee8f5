//! Byte strings as 128-bit views: up to 15 bytes within the view, longer ones in an arena.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::chunked::Chunked;
use crate::index::mix;

/// The longest string that a view holds by itself.
pub const INLINE: usize = 15;
const NULL: u128 = 0xFE;
const LONG: u8 = 0xFF;
const BLOCK: usize = 64 * 1024;

/// A view: the low byte is the length (0–15), or says NULL or long. A long view holds the
/// length in bits 32–64 and block and position in the arena above.
pub type View = u128;

fn long_view(len: usize, block: usize, at: usize) -> View {
    u128::from(LONG) | (len as u128) << 32 | (block as u128) << 64 | (at as u128) << 96
}

fn is_long(view: View) -> bool {
    view as u8 == LONG
}

/// The hash of a string that is not long.
#[inline]
fn word_of(view: View) -> u64 {
    let (low, high) = (view as u64, (view >> 64) as u64);
    mix(low).wrapping_add(mix(high ^ 0x5851_F42D_4C95_7F2D).rotate_left(23))
}

/// The strings of one batch, to be looked up.
#[derive(Default, Debug)]
pub struct PackedBatch {
    views: Vec<View>,
    /// Per row a hash, to find it by.
    words: Vec<u64>,
    long: Vec<u8>,
}

impl PackedBatch {
    /// Forgets all rows; keeps the memory.
    pub fn clear(&mut self) {
        self.views.clear();
        self.words.clear();
        self.long.clear();
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.push_view(NULL),
            Some(bytes) if bytes.len() <= INLINE => {
                let mut view = [0; 16];
                view[0] = bytes.len() as u8;
                view[1..=bytes.len()].copy_from_slice(bytes);
                self.push_view(View::from_le_bytes(view));
            }
            Some(bytes) => {
                self.views.push(long_view(bytes.len(), 0, self.long.len()));
                self.words.push(xxh3_64(bytes));
                self.long.extend_from_slice(bytes);
            }
        }
    }

    /// Adds a row whose bytes, at most [`INLINE`], are the low ones of `bytes`.
    #[inline]
    pub fn push_inline(&mut self, bytes: u128, len: usize) {
        self.push_view(bytes << 8 | len as u128);
    }

    #[inline]
    fn push_view(&mut self, view: View) {
        self.views.push(view);
        self.words.push(word_of(view));
    }

    /// A hash per row.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    fn long(&self, view: View) -> &[u8] {
        let (len, at) = ((view >> 32) as u32 as usize, (view >> 96) as usize);
        &self.long[at..at + len]
    }
}

/// Stored strings, by slot.
#[derive(Default, Debug)]
pub struct PackedStore {
    views: Chunked<View>,
    /// Full or frozen blocks.
    blocks: Vec<Arc<Vec<u8>>>,
    /// The block that is being filled; its number is `blocks.len()`.
    open: Vec<u8>,
    arena_bytes: usize,
}

impl PackedStore {
    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Stores a row of a batch and gives its slot.
    pub fn push(&mut self, batch: &PackedBatch, row: usize) -> u32 {
        let mut view = batch.views[row];
        if is_long(view) {
            view = self.push_long(batch.long(view));
        }
        self.views.push(view);
        (self.views.len() - 1) as u32
    }

    fn push_long(&mut self, bytes: &[u8]) -> View {
        if !self.open.is_empty() && self.open.len() + bytes.len() > BLOCK {
            self.seal();
        }
        let view = long_view(bytes.len(), self.blocks.len(), self.open.len());
        self.open.extend_from_slice(bytes);
        self.arena_bytes += bytes.len();
        view
    }

    /// The strings in these slots, which ascend, as slots 0, 1, 2, … What was read is freed on the
    /// way.
    #[must_use]
    pub fn keep(mut self, slots: &[u32]) -> Self {
        let views = std::mem::take(&mut self.views).keep(slots);
        let mut kept = Self { views, ..Self::default() };
        let mut read = 0;
        for slot in 0..kept.views.len() {
            let view = *kept.views.get(slot);
            if is_long(view) {
                // Strings lie in the order of their slots.
                let block = ((view >> 64) as u32 as usize).min(self.blocks.len());
                self.blocks[read..block].fill_with(Arc::default);
                read = block;
                *kept.views.get_mut(slot) = kept.push_long(self.long(view));
            }
        }
        kept
    }

    /// The hash of each string, as [`PackedBatch`] has it.
    pub(crate) fn words(&self) -> impl ExactSizeIterator<Item = u64> {
        (0..self.views.len()).map(|slot| match *self.views.get(slot) {
            view if is_long(view) => xxh3_64(self.long(view)),
            view => word_of(view),
        })
    }

    fn seal(&mut self) {
        // It doubled its way up from its first string, to up to twice what a block may hold.
        self.open.shrink_to_fit();
        self.blocks.push(Arc::new(std::mem::take(&mut self.open)));
    }

    /// Whether the string in `slot` is the one in the batch's row.
    #[must_use]
    #[inline]
    pub fn same(&self, batch: &PackedBatch, row: usize, slot: u32) -> bool {
        let (stored, wanted) = (*self.views.get(slot as usize), batch.views[row]);
        if is_long(wanted) {
            is_long(stored) && self.long(stored) == batch.long(wanted)
        } else {
            stored == wanted
        }
    }

    fn long(&self, view: View) -> &[u8] {
        let (len, block, at) =
            ((view >> 32) as u32 as usize, (view >> 64) as u32 as usize, (view >> 96) as usize);
        let block = self.blocks.get(block).map_or(&self.open, |b| b.as_ref());
        &block[at..at + len]
    }

    /// Hands the string in `slot` to `read`; `None` is NULL.
    pub fn read<R>(&self, slot: u32, read: impl FnOnce(Option<&[u8]>) -> R) -> R {
        let view = *self.views.get(slot as usize);
        if view == NULL {
            read(None)
        } else if is_long(view) {
            read(Some(self.long(view)))
        } else {
            let bytes = view.to_le_bytes();
            let len = usize::from(bytes[0]).min(INLINE);
            read(Some(&bytes[1..=len]))
        }
    }

    /// A handle to the strings as they are now, in O(chunks).
    #[must_use]
    pub fn freeze(&mut self) -> Self {
        if !self.open.is_empty() {
            self.seal();
        }
        Self {
            views: self.views.freeze(),
            blocks: self.blocks.clone(),
            open: Vec::new(),
            arena_bytes: self.arena_bytes,
        }
    }

    /// As [`PackedStore::freeze`], of these chunks of slots alone, one after another.
    #[must_use]
    pub fn freeze_chunks(&mut self, chunks: &[u32]) -> Self {
        if !self.open.is_empty() {
            self.seal();
        }
        Self {
            views: self.views.freeze_chunks(chunks),
            blocks: self.blocks.clone(),
            open: Vec::new(),
            arena_bytes: self.arena_bytes,
        }
    }

    /// Memory in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.views.bytes() + self.arena_bytes + self.open.capacity() - self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_are_kept_are_found_by_the_same_words() {
        let text = |n: usize| vec![n as u8; n * 331 % 3_000];
        let mut batch = PackedBatch::default();
        (0..500).for_each(|n| batch.push((n % 9 > 0).then(|| text(n)).as_deref()));
        let mut store = PackedStore::default();
        (0..500).for_each(|row| assert_eq!(store.push(&batch, row), row as u32));
        let frozen = store.freeze_chunks(&[0]);
        let slots: Vec<u32> = (0..500).filter(|n| n % 3 > 0).collect();
        let kept = store.keep(&slots);
        let words: Vec<u64> = slots.iter().map(|&slot| batch.words()[slot as usize]).collect();
        assert!(kept.words().eq(words));
        for (slot, &from) in slots.iter().enumerate() {
            assert!(kept.same(&batch, from as usize, slot as u32));
            assert!(frozen.same(&batch, from as usize, from));
        }
    }

    #[test]
    fn long_strings_survive_full_blocks_and_freezes() {
        let mut store = PackedStore::default();
        let mut frozen = Vec::new();
        let text = |n: usize| vec![n as u8; 16 + n * 997 % 70_000];
        for n in 0..200 {
            let mut batch = PackedBatch::default();
            batch.push(Some(&text(n)));
            assert_eq!(store.push(&batch, 0), n as u32);
            assert!(store.same(&batch, 0, n as u32));
            assert!(n == 0 || !store.same(&batch, 0, n as u32 - 1));
            if n % 50 == 7 {
                frozen.push(store.freeze());
            }
        }
        for handle in frozen.iter().chain([&store]) {
            for n in 0..handle.len() {
                handle.read(n as u32, |bytes| assert_eq!(bytes, Some(text(n).as_slice())));
            }
        }
    }
}
