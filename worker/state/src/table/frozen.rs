//! What a freeze took out of a table, and how it becomes a segment on another thread.

use std::cmp::Ordering::Equal;
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
/// Rows that are gathered at a time.
const TOGETHER: usize = 256;

impl Frozen {
    /// When it was frozen.
    #[must_use]
    pub fn age(&self) -> Age {
        self.age
    }

    /// About what the rows take that changed, in bytes: here, and encoded hardly more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Rows(rows) => {
                let changed = rows.chunks.iter().flat_map(|chunk| &chunk.dirty);
                let changed: usize = changed.map(|bits| bits.count_ones() as usize).sum();
                let all = (rows.chunks.len() * CHUNK).max(1);
                let keys = rows.keys.bytes() / rows.keys.len().max(1);
                let cells = rows.columns.bytes() as f64 * (changed as f64 / all as f64);
                cells as usize + changed * keys
            }
            Body::Timers(timers) => timers.iter().map(|timer| timer.order.len() + 16).sum(),
        }
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
        let mut writer = SegmentWriter::new(header).with_room(self.bytes());
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
        let keys = self.keys_of_rows(frozen)?;
        let mut entries = Vec::with_capacity(self.chunks.len() * 64);
        for (i, chunk) in self.chunks.iter().enumerate() {
            entries.extend(ones(&chunk.dirty).map(|bit| {
                let row = (i * CHUNK) as u32 + bit;
                keys.entry(self.key_at(row), row)
            }));
        }
        if let Some(order) = &self.order {
            let markers = order.cleared.iter().map(|&slot| order.key_at(slot));
            entries.extend(markers.map(|at| keys.entry(at, MARKER)));
        }
        entries.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| if a.key == b.key { Equal } else { keys.bytes(a).cmp(keys.bytes(b)) })
                .then_with(|| self.order_of(a).cmp(self.order_of(b)))
        });
        // A row of hundreds: each loop below is many loads that do not wait for each other,
        // where row by row each would wait for memory in turn.
        let width = self.columns.len();
        let mut values = vec![Value::Null; width * TOGETHER];
        let mut canonical = Strings::with_capacity(TOGETHER, 16);
        for entries in entries.chunks(TOGETHER) {
            canonical.clear();
            entries.iter().for_each(|entry| canonical.push(keys.bytes(entry)));
            for column in 0..width {
                for (i, entry) in entries.iter().enumerate() {
                    if entry.row != MARKER {
                        values[i * width + column] = self.columns.value(entry.row, column);
                    }
                }
            }
            for (i, entry) in entries.iter().enumerate() {
                let values = &values[i * width..(i + 1) * width];
                if let Some(row) = self.row(frozen, entry, canonical.get(i), values) {
                    writer.push(&row)?;
                }
            }
        }
        Ok(())
    }

    /// The row or tombstone of an entry; nothing if it expired.
    fn row<'a>(
        &'a self,
        frozen: &Frozen,
        entry: &Entry,
        key: &'a [u8],
        values: &'a [Value<'a>],
    ) -> Option<Row<'a>> {
        let order = self.order_of(entry);
        let Meta { table, clock, bounds, .. } = &frozen.meta;
        let (mut stamp, mut tombstone) = (0, true);
        if entry.row != MARKER {
            stamp = self.columns.stamp(entry.row);
            tombstone = !self.is_live(entry.row);
            // What expired needs no tombstone either: older copies of it have expired, too.
            let below =
                !order.is_empty() && order_word(order) < bounds.word(group_of(entry.prefix));
            if below || !tombstone && table.expiry.is_over(stamp, *clock) {
                return None;
            }
        }
        let values = if tombstone { &[] } else { values };
        Some(Row { prefix: entry.prefix, key, order, stamp, tombstone, values })
    }

    fn is_live(&self, row: u32) -> bool {
        let (chunk, at) = (row as usize / CHUNK, row as usize % CHUNK);
        self.chunks[chunk].live[at / 64] >> (at % 64) & 1 == 1
    }

    fn order_of(&self, entry: &Entry) -> &[u8] {
        match &self.order {
            Some(order) if entry.row != MARKER => order.orders.get(entry.row as usize).as_bytes(),
            _ => &[],
        }
    }

    /// Where the key of a row is among the frozen keys.
    fn key_at(&self, row: u32) -> u32 {
        match &self.order {
            None => row,
            Some(order) => order.key_at(*order.key_of.get(row as usize)),
        }
    }

    /// Canonical bytes and prefix of every key that has a row or marker, each once.
    fn keys_of_rows(&self, frozen: &Frozen) -> Result<Keys, EncodeError> {
        let rows = self.chunks.iter().enumerate().flat_map(|(i, chunk)| {
            ones(&chunk.dirty).map(move |bit| self.key_at((i * CHUNK) as u32 + bit))
        });
        let markers = self.order.iter().flat_map(|o| o.cleared.iter().map(|&slot| o.key_at(slot)));
        let mut number = vec![u32::MAX; self.keys.len()];
        let mut positions = Vec::new();
        for at in rows.chain(markers) {
            let number = &mut number[at as usize];
            if *number == u32::MAX {
                *number = positions.len() as u32;
                positions.push(at);
            }
        }
        let columns = self.keys.keys(&positions)?;
        let hashes = hash_columns(&columns, positions.len());
        let prefixes = hashes.values().iter().map(|&hash| {
            let group = KeyGroup::of_hash(hash, frozen.groups.of);
            prefix(group, hash)
        });
        let mut canonical = Strings::with_capacity(positions.len(), 16);
        encode_rows(&columns, positions.len(), &mut Vec::with_capacity(64), |key| {
            canonical.push(key);
            key.clear();
        })?;
        Ok(Keys { number, prefixes: prefixes.collect(), canonical })
    }
}

/// The keys of frozen rows, numbered as they came.
struct Keys {
    /// The number of each frozen key that is among them.
    number: Vec<u32>,
    prefixes: Vec<u64>,
    canonical: Strings,
}

impl Keys {
    fn entry(&self, at: u32, row: u32) -> Entry {
        let key = self.number[at as usize];
        Entry { prefix: self.prefixes[key as usize], key, row }
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        self.canonical.get(entry.key as usize)
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
