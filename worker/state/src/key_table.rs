//! From keys to dense slots: typed tables, resolved once per batch.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::UnsupportedType;
use crate::canonical::{
    self, BytesColumn, DecodeError, KeyColumn, Shape, decode_rows, encode_rows, from_words,
    to_words,
};
use crate::chunked::Chunked;
use crate::index::Index;
use crate::packed::{INLINE, PackedBatch, PackedStore};

/// What [`KeyTable::lookup`] gives for a key that is not in the table.
pub const ABSENT: u32 = crate::index::ABSENT;

#[derive(Debug)]
enum Store {
    /// One column of at most 64 bits.
    Words { words: Chunked<u64>, null: Option<u32> },
    /// One column of strings or bytes, or any columns in canonical encoding.
    Packed(PackedStore),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Words,
    Bytes,
    Canonical,
}

/// The keys of a table, each with a slot: 0, 1, 2, … in the order in which they came; within
/// a batch, a single NULL comes after the other new keys.
#[derive(Debug)]
pub struct KeyTable {
    types: Vec<DataType>,
    kind: Kind,
    store: Store,
    index: Index,
    scratch: PackedBatch,
}

impl KeyTable {
    /// An empty table for keys of these types; no type at all is a table of one key.
    ///
    /// # Errors
    /// When a type cannot be part of a key.
    pub fn new(types: &[DataType]) -> Result<Self, UnsupportedType> {
        Self::with_capacity(types, 0)
    }

    /// An empty table with room for `keys` keys.
    ///
    /// # Errors
    /// When a type cannot be part of a key.
    pub fn with_capacity(types: &[DataType], keys: usize) -> Result<Self, UnsupportedType> {
        let shapes = types.iter().map(Shape::of).collect::<Result<Vec<_>, _>>()?;
        let kind = match shapes.as_slice() {
            [Shape::Word { .. }] => Kind::Words,
            [Shape::Bytes { .. }] => Kind::Bytes,
            _ => Kind::Canonical,
        };
        let store = match kind {
            Kind::Words => Store::Words { words: Chunked::new(), null: None },
            Kind::Bytes | Kind::Canonical => Store::Packed(PackedStore::default()),
        };
        Ok(Self {
            types: types.to_vec(),
            kind,
            store,
            index: Index::with_capacity(keys),
            scratch: PackedBatch::default(),
        })
    }

    /// Forgets all keys but those in these slots, which ascend; they become 0, 1, 2, … What is
    /// dropped is freed on the way.
    pub fn keep(&mut self, slots: &[u32]) {
        // First, for it can be made again.
        self.index = Index::with_capacity(0);
        match &mut self.store {
            Store::Words { words, null } => {
                *words = std::mem::take(words).keep(slots);
                *null = null.and_then(|null| slots.binary_search(&null).ok()).map(|at| at as u32);
                let others = (0..words.len() as u32).filter(|slot| Some(*slot) != *null);
                let each = others.map(|slot| (*words.get(slot as usize), slot));
                self.index = Index::of(words.len(), each);
            }
            Store::Packed(store) => {
                *store = std::mem::take(store).keep(slots);
                self.index = Index::of(store.len(), store.words().zip(0..));
            }
        }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Words { words, .. } => words.len(),
            Store::Packed(store) => store.len(),
        }
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of each row's key; new keys get new slots.
    ///
    /// # Errors
    /// When the columns are of other types than the table's.
    pub fn resolve(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), UnsupportedType> {
        match &mut self.store {
            Store::Words { words: stored, null } => {
                let column = single(columns, &self.types)?;
                let words = to_words(column)?;
                match column.nulls().filter(|n| n.null_count() > 0) {
                    None => resolve_words(&mut self.index, stored, &words, slots),
                    Some(nulls) => {
                        let valid: Vec<u64> = nulls.valid_indices().map(|i| words[i]).collect();
                        let mut found = Vec::new();
                        resolve_words(&mut self.index, stored, &valid, &mut found);
                        let null = *null.get_or_insert_with(|| {
                            stored.push(0);
                            (stored.len() - 1) as u32
                        });
                        scatter(nulls, &found, null, slots);
                    }
                }
            }
            Store::Packed(store) => {
                pack(self.kind, columns, rows, &mut self.scratch)?;
                let batch = &self.scratch;
                self.index.resolve(
                    store,
                    batch.words(),
                    slots,
                    |store, row, slot| store.same(batch, row, slot),
                    |store, row| store.push(batch, row),
                );
            }
        }
        Ok(())
    }

    /// The slot of each row's key, or [`ABSENT`].
    ///
    /// # Errors
    /// When the columns are of other types than the table's.
    pub fn lookup(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        slots: &mut Vec<u32>,
    ) -> Result<(), UnsupportedType> {
        match &self.store {
            Store::Words { null, .. } => {
                let column = single(columns, &self.types)?;
                let words = to_words(column)?;
                self.index.lookup(&(), &words, slots, |(), _, _| true);
                if let Some(nulls) = column.nulls() {
                    for (row, slot) in slots.iter_mut().enumerate() {
                        if nulls.is_null(row) {
                            *slot = null.unwrap_or(ABSENT);
                        }
                    }
                }
            }
            Store::Packed(store) => {
                pack(self.kind, columns, rows, &mut self.scratch)?;
                let batch = &self.scratch;
                self.index.lookup(store, batch.words(), slots, |store, row, slot| {
                    store.same(batch, row, slot)
                });
            }
        }
        Ok(())
    }

    /// The key columns of `slots`.
    ///
    /// # Errors
    /// When a stored key does not fit the table's types, which is a bug or damaged state.
    pub fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, DecodeError> {
        match (&self.store, self.kind) {
            (Store::Words { words, null }, _) => {
                let values = slots.iter().map(|&s| *words.get(s as usize)).collect();
                let nulls = null
                    .filter(|null| slots.contains(null))
                    .map(|null| slots.iter().map(|&s| s != null).collect::<NullBuffer>());
                Ok(vec![from_words(&self.types[0], values, nulls)?])
            }
            (Store::Packed(store), Kind::Bytes) => {
                let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(slots.len()));
                for &slot in slots {
                    store.read(slot, |bytes| {
                        all.extend_from_slice(bytes.unwrap_or_default());
                        ends.push((all.len(), bytes.is_some()));
                    });
                }
                let mut start = 0;
                let values = ends.into_iter().map(|(end, valid)| {
                    let value = &all[start..end];
                    start = end;
                    valid.then_some(value)
                });
                Ok(vec![canonical::from_bytes(&self.types[0], values)?])
            }
            (Store::Packed(store), _) => decode_rows(&self.types, slots.len(), |each| {
                for &slot in slots {
                    store.read(slot, |bytes| each(bytes.unwrap_or_default()));
                }
            }),
        }
    }

    /// The keys as they are now, in O(chunks), for another thread to read; it cannot resolve.
    #[must_use]
    pub fn freeze(&mut self) -> FrozenKeys {
        let store = match &mut self.store {
            Store::Words { words, null } => Store::Words { words: words.freeze(), null: *null },
            Store::Packed(store) => Store::Packed(store.freeze()),
        };
        FrozenKeys(Self {
            types: self.types.clone(),
            kind: self.kind,
            store,
            index: Index::with_capacity(0),
            scratch: PackedBatch::default(),
        })
    }

    /// As [`KeyTable::freeze`], of these chunks of [`crate::chunked::CHUNK`] slots alone: the
    /// slots of the first one come first, and so on. Costs O(chunks given), but for one handle
    /// per 64 KiB of long strings.
    #[must_use]
    pub fn freeze_chunks(&mut self, chunks: &[u32]) -> FrozenKeys {
        let store = match &mut self.store {
            Store::Words { words, null } => {
                let null = null.and_then(|slot| {
                    let size = crate::chunked::CHUNK as u32;
                    let at = chunks.iter().position(|&chunk| chunk == slot / size)?;
                    Some(at as u32 * size + slot % size)
                });
                Store::Words { words: words.freeze_chunks(chunks), null }
            }
            Store::Packed(store) => Store::Packed(store.freeze_chunks(chunks)),
        };
        FrozenKeys(Self {
            types: self.types.clone(),
            kind: self.kind,
            store,
            index: Index::with_capacity(0),
            scratch: PackedBatch::default(),
        })
    }

    /// Memory in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.key_bytes()
    }

    /// Memory of the keys themselves, without what finds them.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        match &self.store {
            Store::Words { words, .. } => words.bytes(),
            Store::Packed(store) => store.bytes(),
        }
    }
}

/// The keys of a table at some moment.
#[derive(Debug)]
pub struct FrozenKeys(KeyTable);

impl FrozenKeys {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Memory of the keys in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.key_bytes()
    }

    /// The key columns of `slots`.
    ///
    /// # Errors
    /// As [`KeyTable::keys`].
    pub fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, DecodeError> {
        self.0.keys(slots)
    }
}

fn single<'a>(
    columns: &'a [ArrayRef],
    types: &[DataType],
) -> Result<&'a dyn Array, UnsupportedType> {
    match columns {
        [column] if column.data_type() == &types[0] => Ok(column.as_ref()),
        [column, ..] => Err(UnsupportedType(column.data_type().clone())),
        [] => Err(UnsupportedType(DataType::Null)),
    }
}

fn resolve_words(
    index: &mut Index,
    stored: &mut Chunked<u64>,
    words: &[u64],
    slots: &mut Vec<u32>,
) {
    index.resolve(
        stored,
        words,
        slots,
        |_, _, _| true,
        |stored, row| {
            stored.push(words[row]);
            (stored.len() - 1) as u32
        },
    );
}

fn scatter(nulls: &NullBuffer, found: &[u32], null: u32, slots: &mut Vec<u32>) {
    let mut found = found.iter();
    slots.clear();
    slots.extend(
        nulls.iter().map(|valid| if valid { found.next().copied().unwrap_or(null) } else { null }),
    );
}

fn pack(
    kind: Kind,
    columns: &[ArrayRef],
    rows: usize,
    batch: &mut PackedBatch,
) -> Result<(), UnsupportedType> {
    batch.clear();
    if let (Kind::Bytes, [column]) = (kind, columns) {
        let values = BytesColumn::of(column.as_ref())
            .ok_or_else(|| UnsupportedType(column.data_type().clone()))?;
        match column.nulls() {
            None => (0..rows).for_each(|row| batch.push(Some(values.value(row)))),
            Some(nulls) => {
                (0..rows).for_each(|row| batch.push(nulls.is_valid(row).then(|| values.value(row))))
            }
        }
        return Ok(());
    }
    let keys: Vec<KeyColumn<'_>> =
        columns.iter().map(|c| KeyColumn::new(c.as_ref())).collect::<Result<_, _>>()?;
    let fixed: Option<usize> = keys.iter().map(KeyColumn::fixed).sum();
    if fixed.is_some_and(|len| len <= INLINE) {
        pack_fixed(&keys, rows, batch);
    } else {
        encode_rows(columns, rows, &mut Vec::with_capacity(128), |key| {
            batch.push(Some(key));
            key.clear();
        })?;
    }
    Ok(())
}

/// Canonical keys short enough for a view, without a buffer in between.
fn pack_fixed(keys: &[KeyColumn<'_>], rows: usize, batch: &mut PackedBatch) {
    let columns: Vec<_> = keys.iter().filter_map(|k| k.words().map(|w| (k, w))).collect();
    for row in 0..rows {
        let (mut bytes, mut len) = (0_u128, 0);
        for (column, (tag, width, words)) in &columns {
            if column.is_null(row) {
                len += 1;
                continue;
            }
            let value = words[row] & (u64::MAX >> (64 - 8 * width));
            bytes |= (u128::from(value) << 8 | u128::from(*tag)) << (8 * len);
            len += 1 + width;
        }
        batch.push_inline(bytes, len);
    }
}

#[cfg(test)]
mod tests;
