//! A growing column in chunks that are shared on freeze and copied on the first write after it.

use std::sync::Arc;

/// Values per chunk. A power of two; small enough that a sparse slice wastes little, large
/// enough that freezing a million values touches two thousand chunks.
pub const CHUNK: usize = 512;
const BITS: u32 = CHUNK.trailing_zeros();

type Values<T> = Box<[T; CHUNK]>;

#[derive(Debug)]
enum Chunk<T> {
    /// Nobody else looks at it.
    Owned(Values<T>),
    /// A frozen copy may look at it.
    Shared(Arc<Values<T>>),
}

/// A column of `T` indexed by slot.
///
/// [`Chunked::freeze`] gives a second handle to the same values in O(chunks); the first write
/// into a chunk afterwards copies it, unless the frozen handle is gone by then.
#[derive(Debug)]
pub struct Chunked<T> {
    chunks: Vec<Chunk<T>>,
    len: usize,
    copied: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, copied: 0 }
    }
}

impl<T: Clone + Default> Chunked<T> {
    /// An empty column.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends default values until there are `len`.
    pub fn grow(&mut self, len: usize) {
        while self.chunks.len() * CHUNK < len {
            self.chunks.push(Chunk::Owned(fresh()));
        }
        self.len = self.len.max(len);
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) {
        let slot = self.len;
        self.grow(slot + 1);
        *self.get_mut(slot) = value;
    }

    /// The value at `slot`.
    ///
    /// Like an index out of range, a slot that was never grown to is a bug in the caller.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: usize) -> &T {
        match &self.chunks[slot >> BITS] {
            Chunk::Owned(values) => &values[slot & (CHUNK - 1)],
            Chunk::Shared(values) => &values[slot & (CHUNK - 1)],
        }
    }

    /// The value at `slot`, to be written.
    #[inline]
    pub fn get_mut(&mut self, slot: usize) -> &mut T {
        let chunk = &mut self.chunks[slot >> BITS];
        if let Chunk::Shared(values) = chunk {
            *chunk = Chunk::Owned(copy(values));
            self.copied += 1;
        }
        match chunk {
            Chunk::Owned(values) => &mut values[slot & (CHUNK - 1)],
            // Not reached: the line above made it owned. `make_mut` is the safe way to say so.
            Chunk::Shared(values) => &mut Arc::make_mut(values)[slot & (CHUNK - 1)],
        }
    }

    /// A handle to the values as they are now, in O(chunks).
    #[must_use]
    pub fn freeze(&mut self) -> Self {
        let shared: Vec<Arc<Values<T>>> = std::mem::take(&mut self.chunks)
            .into_iter()
            .map(|chunk| match chunk {
                Chunk::Owned(values) => Arc::new(values),
                Chunk::Shared(values) => values,
            })
            .collect();
        self.chunks = shared.iter().map(|values| Chunk::Shared(Arc::clone(values))).collect();
        Self { chunks: shared.into_iter().map(Chunk::Shared).collect(), len: self.len, copied: 0 }
    }

    /// A handle to the values of these chunks alone, one after another in the order given, in
    /// O(their number).
    #[must_use]
    pub fn freeze_chunks(&mut self, chunks: &[u32]) -> Self {
        let shared = chunks.iter().map(|&at| Chunk::Shared(self.share(at as usize)));
        let chunks: Vec<_> = shared.collect();
        Self { len: chunks.len() * CHUNK, chunks, copied: 0 }
    }

    /// The values at these slots, which ascend, as slots 0, 1, 2, … Each chunk is freed once it has
    /// been read, so that the column is never there twice.
    #[must_use]
    pub fn keep(self, slots: &[u32]) -> Self {
        let mut kept = Self::new();
        let mut slots = slots.iter().map(|&slot| slot as usize).peekable();
        for (number, chunk) in self.chunks.into_iter().enumerate() {
            let mut next = || slots.next_if(|slot| slot >> BITS == number);
            match chunk {
                Chunk::Owned(mut values) => {
                    while let Some(slot) = next() {
                        kept.push(std::mem::take(&mut values[slot & (CHUNK - 1)]));
                    }
                }
                Chunk::Shared(values) => {
                    while let Some(slot) = next() {
                        kept.push(values[slot & (CHUNK - 1)].clone());
                    }
                }
            }
        }
        kept
    }

    fn share(&mut self, at: usize) -> Arc<Values<T>> {
        if let Chunk::Shared(values) = &self.chunks[at] {
            return Arc::clone(values);
        }
        // Taken out by a swap with the last one, and put back by another.
        let values = match self.chunks.swap_remove(at) {
            Chunk::Owned(values) => Arc::new(values),
            Chunk::Shared(values) => values,
        };
        self.chunks.push(Chunk::Shared(Arc::clone(&values)));
        let last = self.chunks.len() - 1;
        self.chunks.swap(at, last);
        values
    }

    /// Memory of the values in bytes, without what they point to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.len() * (CHUNK * size_of::<T>() + size_of::<Chunk<T>>())
    }

    /// Memory of the chunks, in bytes, that were copied since this was last forgotten: what frozen
    /// handles, as long as there are any, hold beside the column.
    #[must_use]
    pub fn copied_bytes(&self) -> usize {
        self.copied * CHUNK * size_of::<T>()
    }

    /// Which part of the column's chunks that is.
    #[must_use]
    pub fn copied_part(&self) -> f64 {
        self.copied as f64 / self.chunks.len().max(1) as f64
    }

    /// No handle of before is there any more.
    pub fn forget_copies(&mut self) {
        self.copied = 0;
    }
}

#[cold]
#[inline(never)]
fn copy<T: Clone>(values: &Values<T>) -> Values<T> {
    values.clone()
}

fn fresh<T: Clone + Default>() -> Values<T> {
    let values: Box<[T]> = vec![T::default(); CHUNK].into_boxed_slice();
    match values.try_into() {
        Ok(values) => values,
        // Not reached: the vector was made with this length.
        Err(_) => Box::new(std::array::from_fn(|_| T::default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_handle_keeps_its_values_while_the_column_goes_on() {
        let mut column = Chunked::new();
        for i in 0..2_000_u64 {
            column.push(i);
        }
        let frozen = column.freeze();
        *column.get_mut(7) = 1_000_000;
        column.push(42);
        assert_eq!((*frozen.get(7), frozen.len()), (7, 2_000));
        assert_eq!(column.copied_bytes(), 2 * CHUNK * 8, "the first chunk and the last");
        assert_eq!((*column.get(7), column.len()), (1_000_000, 2_001));
        assert_eq!(*column.get(2_000), 42);
        let again = column.freeze();
        assert_eq!(*again.get(7), 1_000_000);
        assert_eq!(*frozen.get(1_999), 1_999);
    }

    #[test]
    fn what_is_kept_moves_together_and_frozen_handles_stay() {
        let mut column = Chunked::new();
        (0..2_000_u64).for_each(|i| column.push(i));
        let frozen = column.freeze_chunks(&[1]);
        let slots: Vec<u32> = (3..1_990).step_by(7).collect();
        let kept = column.keep(&slots);
        assert_eq!(kept.len(), slots.len());
        for (to, &from) in slots.iter().enumerate() {
            assert_eq!(*kept.get(to), u64::from(from));
        }
        assert_eq!((*frozen.get(0), *frozen.get(511)), (512, 1_023));
    }

    #[test]
    fn some_chunks_can_be_frozen_without_the_others() {
        let mut column = Chunked::new();
        for i in 0..2_000_u64 {
            column.push(i);
        }
        let frozen = column.freeze_chunks(&[2, 0, 2]);
        for slot in [0, 1_024, 1_999] {
            *column.get_mut(slot) += 1_000_000;
        }
        let chunk = CHUNK as u64;
        assert_eq!((*frozen.get(0), *frozen.get(CHUNK), frozen.len()), (2 * chunk, 0, 3 * CHUNK));
        assert_eq!(*frozen.get(2 * CHUNK), 2 * chunk);
        for i in 0..2_000_u64 {
            let added = if [0, 1_024, 1_999].contains(&i) { 1_000_000 } else { 0 };
            assert_eq!(*column.get(i as usize), i + added);
        }
    }
}
