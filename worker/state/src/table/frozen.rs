//! What a freeze took out of a table, and how it becomes a segment on another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use weir_protocol::KeyGroup;

use super::blob::Blob;
use super::columns::Columns;
use super::slots::{FrozenChunk, ones};
use super::{Groups, TableSpec};
use crate::UnsupportedType;
use crate::canonical::{DecodeError, encode_rows};
use crate::chunked::{CHUNK, Chunked};
use crate::hash::hash_columns;
use crate::key_table::FrozenKeys;
use crate::sorted::{
    Age, Ages, Footer, Header, Meta, Row, SegmentError, SegmentWriter, Strings, Value, group_of,
    order_word, prefix,
};

/// Changes of a table between two freezes. They stay as they are whatever the table does next.
#[derive(Debug)]
pub struct Frozen {
    pub(crate) age: Age,
    pub(crate) groups: Groups,
    pub(crate) meta: Meta,
    pub(crate) body: Body,
    pub(crate) _held: Held,
}

#[derive(Debug)]
pub(crate) enum Body {
    Rows(Rows),
    Timers(Vec<FrozenTimer>),
}

/// A timer that was set, or cancelled.
#[derive(Debug)]
pub(crate) struct FrozenTimer {
    pub(crate) group: KeyGroup,
    /// Its encoded order: the time and the key.
    pub(crate) order: Vec<u8>,
    pub(crate) cancelled: bool,
}

/// Handles of the chunks that have a changed row.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) chunks: Vec<FrozenChunk>,
    pub(crate) columns: Columns,
    pub(crate) keys: FrozenKeys,
    pub(crate) order: Option<Orders>,
}

/// What rows of an ordered table have more.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The key's slot of each row.
    pub(crate) key_of: Chunked<u32>,
    pub(crate) orders: Chunked<Blob>,
    /// The chunks of keys that are among the frozen keys, ascending.
    pub(crate) key_chunks: Vec<u32>,
    /// Keys, by slot, of which everything older is gone.
    pub(crate) cleared: Vec<u32>,
}

/// Counts what frozen handles hold as long as they are there.
#[derive(Debug)]
pub(crate) struct Held {
    gauge: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(gauge: &Arc<AtomicUsize>, bytes: usize) -> Self {
        gauge.fetch_add(bytes, Relaxed);
        Self { gauge: Arc::clone(gauge), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.fetch_sub(self.bytes, Relaxed);
    }
}

/// A segment as it is to be stored.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// All of it.
    pub bytes: Bytes,
    /// What it is.
    pub footer: Footer,
}

/// Rows that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The segment.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A key that does not fit its types, which is a bug.
    #[error(transparent)]
    Key(#[from] DecodeError),
    /// A key of a type that state cannot hold, which is a bug.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
}

/// A row or tombstone on its way into a segment; `row` is its position, or that it is a marker.
struct Entry {
    prefix: u64,
    key: u32,
    row: u32,
}

const MARKER: u32 = u32::MAX;

impl Frozen {
    /// When it was frozen.
    #[must_use]
    pub fn age(&self) -> Age {
        self.age
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &TableSpec {
        &self.meta.table
    }

    /// Writes the changes as a segment. `id` must be random. The handles are dropped with
    /// `self`: until then a write to the same rows copies them.
    ///
    /// # Errors
    /// When a row is larger than a block can be.
    pub fn encode(self, id: u128) -> Result<Encoded, EncodeError> {
        let header = Header {
            id,
            ages: Ages::at(self.age),
            range: self.groups.range,
            meta: self.meta.clone(),
        };
        let mut writer = SegmentWriter::new(header);
        match &self.body {
            Body::Rows(rows) => rows.write(&self, &mut writer)?,
            Body::Timers(timers) => {
                for timer in timers {
                    writer.push(&Row {
                        prefix: prefix(timer.group, 0),
                        key: &[],
                        order: &timer.order,
                        stamp: 0,
                        tombstone: timer.cancelled,
                        values: &[],
                    })?;
                }
            }
        }
        let (bytes, footer) = writer.finish()?;
        Ok(Encoded { bytes: bytes.into(), footer })
    }
}

impl Rows {
    fn write(&self, frozen: &Frozen, writer: &mut SegmentWriter) -> Result<(), EncodeError> {
        let live = |row: u32| {
            let (chunk, at) = (row as usize / CHUNK, row as usize % CHUNK);
            self.chunks[chunk].live[at / 64] >> (at % 64) & 1 == 1
        };
        let rows: Vec<u32> = self
            .chunks
            .iter()
            .enumerate()
            .flat_map(|(i, chunk)| ones(&chunk.dirty).map(move |bit| (i * CHUNK) as u32 + bit))
            .collect();
        // The key of every row, each key once: its position among the frozen ones.
        let key_at = |row: u32| match &self.order {
            None => row,
            Some(order) => order.key_at(*order.key_of.get(row as usize)),
        };
        let marked = self.order.iter().flat_map(|o| o.cleared.iter().map(|&slot| o.key_at(slot)));
        let marked: Vec<u32> = marked.collect();
        let mut key_slots: Vec<u32> =
            rows.iter().map(|&row| key_at(row)).chain(marked.iter().copied()).collect();
        if self.order.is_some() {
            key_slots.sort_unstable();
            key_slots.dedup();
        }
        let columns = self.keys.keys(&key_slots)?;
        let hashes = hash_columns(&columns, key_slots.len());
        let mut keys = Strings::with_capacity(key_slots.len(), 16);
        encode_rows(&columns, key_slots.len(), &mut Vec::with_capacity(64), |key| {
            keys.push(key);
            key.clear();
        })?;
        let entry = |(at, row): (u32, u32)| {
            // Ascending without an order as well: rows are listed by chunk and bit.
            let key = key_slots.binary_search(&at).unwrap_or_default();
            let hash = hashes.value(key);
            let group = KeyGroup::of_hash(hash, frozen.groups.of);
            Entry { prefix: prefix(group, hash), key: key as u32, row }
        };
        let markers = marked.iter().map(|&at| (at, MARKER));
        let mut entries: Vec<Entry> =
            rows.iter().map(|&row| (key_at(row), row)).chain(markers).map(entry).collect();
        let order = |entry: &Entry| match &self.order {
            Some(orders) if entry.row != MARKER => orders.orders.get(entry.row as usize).as_bytes(),
            _ => &[],
        };
        entries.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| {
                    if a.key == b.key {
                        std::cmp::Ordering::Equal
                    } else {
                        keys.get(a.key as usize).cmp(keys.get(b.key as usize))
                    }
                })
                .then_with(|| order(a).cmp(order(b)))
        });
        let ttl = frozen.meta.table.expiry;
        let mut values: Vec<Value<'_>> = Vec::with_capacity(self.columns.len());
        for entry in &entries {
            let tombstone = entry.row == MARKER || !live(entry.row);
            values.clear();
            let mut stamp = 0;
            if entry.row != MARKER {
                stamp = self.columns.stamp(entry.row);
                // What expired needs no tombstone either: older copies of it have expired, too.
                let below = self.order.is_some()
                    && order_word(order(entry)) < frozen.meta.bounds.word(group_of(entry.prefix));
                if below || !tombstone && ttl.is_over(stamp, frozen.meta.clock) {
                    continue;
                }
            }
            if !tombstone {
                values.extend((0..self.columns.len()).map(|c| self.columns.value(entry.row, c)));
            }
            writer.push(&Row {
                prefix: entry.prefix,
                key: keys.get(entry.key as usize),
                order: order(entry),
                stamp,
                tombstone,
                values: &values,
            })?;
        }
        Ok(())
    }
}

impl Orders {
    /// The position among the frozen keys of the key in a slot.
    fn key_at(&self, slot: u32) -> u32 {
        let chunk = slot / CHUNK as u32;
        // Chunks of keys with a changed row are frozen with it.
        let at = self.key_chunks.binary_search(&chunk).unwrap_or_default();
        (at * CHUNK) as u32 + slot % CHUNK as u32
    }
}
