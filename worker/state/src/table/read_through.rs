//! Reading rows back that were dropped from memory.
//!
//! A keyed table that was opened on segments ([`Keyed::open`]) holds in memory what changed and
//! what was used, and finds the rest in its segments:
//!
//! 1. When a batch arrives, [`Keyed::announce`] says which blocks its keys need; nothing, if all
//!    are in memory or filters rule them out.
//! 2. Whoever does I/O reads these, in any order, and gives each to [`Announced::put`].
//! 3. When the batch is taken and the announcement [`Announced::is_ready`], [`Keyed::install`]
//!    puts the rows into memory. From then on the batch resolves its keys as in any table.
//!
//! Batches are taken in the order in which they came, so that neither watermarks nor barriers
//! need a special case. What always holds:
//! - A row is only installed where nothing is known of its key: no row and no tombstone.
//! - An announcement is good until [`Keyed::follow`] or a trim: then a row or tombstone that was
//!   younger than the blocks may have left memory. Such an announcement installs nothing and the
//!   batch is announced again.
//! - Only rows that the segments hold as they are leave memory, and tombstones only once a
//!   segment says the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use bytes::Bytes;
use weir_protocol::{KeyGroup, KeyGroupRange};

use super::restore::RestoreError;
use super::slots::{Bits, FrozenChunk};
use super::{Evolution, Groups, Keyed, Table, TableError, TableSpec, evolve};
use crate::canonical::{decode_rows, encode_rows};
use crate::hash::hash_columns;
use crate::key_table::ABSENT;
use crate::merge::MergeError;
use crate::sorted::{Age, Block, BlockRef, SegmentError, SegmentReader, Strings, prefix};

/// A published segment, and the key groups for which it counts.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its index and, if they were read, its filters.
    pub reader: Arc<SegmentReader>,
    /// Its rows of other groups are not looked at.
    pub range: KeyGroupRange,
}

/// The segments of a table, youngest first, and how each is read.
#[derive(Debug)]
struct Layers {
    layers: Vec<(Layer, Evolution)>,
}

/// What a table that reads through knows of its segments.
#[derive(Debug)]
pub(crate) struct ReadThrough {
    layers: Arc<Layers>,
    /// Counts what makes announcements bad.
    era: u64,
    /// What was frozen and is not published: it must stay in memory.
    pub(crate) in_flight: Vec<(Age, BTreeMap<u32, Bits>)>,
}

impl Layers {
    fn new(spec: &TableSpec, mut layers: Vec<Layer>) -> Result<Self, MergeError> {
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.reader.footer().ages.hi));
        let layers = layers.into_iter().map(|layer| {
            let evolution = evolve(&layer.reader.meta().table, spec)?;
            Ok((layer, evolution))
        });
        Ok(Self { layers: layers.collect::<Result<_, MergeError>>()? })
    }
}

/// The keys of a batch that are not in memory, and the blocks that may hold them.
#[derive(Debug)]
pub struct Announced {
    layers: Arc<Layers>,
    era: u64,
    prefixes: Vec<u64>,
    /// Canonical bytes of each key.
    keys: Strings,
    /// What is needed: blocks by layer and number, once they are there.
    blocks: BTreeMap<(usize, u32), Option<Block>>,
}

impl Announced {
    /// The blocks that are still to be read: of which segment, by its id, and which.
    pub fn missing(&self) -> impl Iterator<Item = (u128, BlockRef)> {
        self.blocks.iter().filter(|(_, block)| block.is_none()).map(|((layer, number), _)| {
            let reader = &self.layers.layers[*layer].0.reader;
            (reader.footer().id, reader.block_ref(*number))
        })
    }

    /// Whether nothing is to be read any more.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.blocks.values().all(Option::is_some)
    }

    /// Bytes of the blocks, read or not: what a look-ahead is limited by.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let len = |(layer, number): &(usize, u32)| {
            self.layers.layers[*layer].0.reader.block_ref(*number).len as usize
        };
        self.blocks.keys().map(len).sum()
    }

    /// Takes a block of a segment that was read.
    ///
    /// # Errors
    /// When it is not what was written there: it is to be read once more, from elsewhere.
    pub fn put(&mut self, segment: u128, number: u32, bytes: &Bytes) -> Result<(), SegmentError> {
        for ((layer, wanted), block) in &mut self.blocks {
            let reader = &self.layers.layers[*layer].0.reader;
            if *wanted == number && reader.footer().id == segment {
                *block = Some(reader.block(number, bytes.clone())?);
            }
        }
        Ok(())
    }

    /// The youngest row or tombstone of a key: its layer, block and number.
    fn find(&self, key: usize) -> Option<(usize, &Block, usize)> {
        let (prefix, key) = (self.prefixes[key], self.keys.get(key));
        for layer in candidates(&self.layers, prefix) {
            for at in self.layers.layers[layer].0.reader.plan(&[prefix]) {
                let Some(Some(block)) = self.blocks.get(&(layer, at.number)) else { continue };
                let row = block.lower_bound(prefix, key, &[]);
                if row < block.rows() && block.compare(row, prefix, key, &[]).is_eq() {
                    return Some((layer, block, row));
                }
            }
        }
        None
    }
}

/// The layers that speak for the group of a prefix, youngest first.
fn candidates(layers: &Layers, prefix: u64) -> impl Iterator<Item = usize> {
    let group = crate::sorted::group_of(prefix);
    let speaks = move |(_, (layer, _)): &(usize, &(Layer, Evolution))| layer.range.contains(group);
    layers.layers.iter().enumerate().filter(speaks).map(|(i, _)| i)
}

impl Keyed {
    /// A table on these segments, of which nothing is in memory.
    ///
    /// # Errors
    /// When the spec cannot be, or a segment has a schema that cannot be taken over.
    pub fn open(spec: TableSpec, groups: Groups, layers: Vec<Layer>) -> Result<Self, RestoreError> {
        let mut table = Self::new(spec, groups)?;
        for layer in &layers {
            table.set_clock(layer.reader.meta().clock);
        }
        let layers = Arc::new(Layers::new(table.spec(), layers)?);
        table.read_through = Some(ReadThrough { layers, era: 0, in_flight: Vec::new() });
        Ok(table)
    }

    /// The segments that hold what was frozen up to this age: after a checkpoint was published,
    /// or segments were merged. Takes the place of [`Table::published`], which a table that reads
    /// through must not go by: a tombstone may be forgotten only when the segments that are read
    /// say the same.
    ///
    /// # Errors
    /// When a segment has a schema that cannot be taken over.
    pub fn follow(&mut self, layers: Vec<Layer>, up_to: Age) -> Result<(), MergeError> {
        let layers = Arc::new(Layers::new(self.table_spec(), layers)?);
        if let Some(through) = &mut self.read_through {
            through.layers = layers;
            through.era += 1;
            through.in_flight.retain(|(age, _)| *age > up_to);
        }
        self.forget_tombstones(up_to);
        Ok(())
    }

    /// Which blocks the keys of a batch need that is going to be taken.
    ///
    /// # Errors
    /// When the columns are of other types than the key's.
    pub fn announce(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Announced, TableError> {
        let mut missing = Vec::new();
        if self.read_through.is_some() {
            self.unknown(keys, rows, &mut missing)?;
        }
        let rows = UInt32Array::from(missing);
        let keys: Vec<ArrayRef> =
            keys.iter().map(|key| take(key, &rows, None)).collect::<Result<_, _>>()?;
        let hashes = hash_columns(&keys, rows.len());
        let of = self.groups().of;
        let place = |&hash: &u64| prefix(KeyGroup::of_hash(hash, of), hash);
        let prefixes: Vec<u64> = hashes.values().iter().map(place).collect();
        let mut canonical = Strings::with_capacity(rows.len(), 16);
        encode_rows(&keys, rows.len(), &mut Vec::with_capacity(64), |key| {
            canonical.push(key);
            key.clear();
        })?;
        let (layers, era) = match &self.read_through {
            Some(through) => (Arc::clone(&through.layers), through.era),
            None => (Arc::new(Layers { layers: Vec::new() }), 0),
        };
        let mut blocks = BTreeMap::new();
        for &prefix in &prefixes {
            for layer in candidates(&layers, prefix) {
                for block in layers.layers[layer].0.reader.plan(&[prefix]) {
                    blocks.insert((layer, block.number), None);
                }
            }
        }
        Ok(Announced { layers, era, prefixes, keys: canonical, blocks })
    }

    /// Puts the announced rows into memory that are not there. `false`: the announcement is no
    /// longer good, or not ready, and nothing happened; the batch is to be announced again.
    ///
    /// # Errors
    /// When a stored key does not fit the table's types.
    pub fn install(&mut self, announced: &Announced) -> Result<bool, TableError> {
        let era = self.read_through.as_ref().map_or(0, |through| through.era);
        if era != announced.era || !announced.is_ready() {
            return Ok(false);
        }
        let found: Vec<(usize, (usize, &Block, usize))> = (0..announced.prefixes.len())
            .filter_map(|key| Some((key, announced.find(key)?)))
            .filter(|(_, (_, block, row))| {
                !block.is_tombstone(*row) && !self.is_over(block.stamp(*row))
            })
            .collect();
        let keys = decode_rows(&self.table_spec().key_types(), found.len(), |each| {
            found.iter().for_each(|(key, _)| each(announced.keys.get(*key)));
        })?;
        let mut slots = Vec::new();
        self.slots_of(&keys, found.len(), &mut slots)?;
        for (slot, (_, (layer, block, row))) in slots.into_iter().zip(found) {
            let evolution = &announced.layers.layers[layer].1;
            let values = evolution.values(|column| block.value(row, column));
            self.install_row(slot, block.stamp(row), values);
        }
        Ok(true)
    }

    /// The rows of a batch of which memory knows neither a row nor a tombstone.
    fn unknown(
        &mut self,
        keys: &[ArrayRef],
        rows: usize,
        unknown: &mut Vec<u32>,
    ) -> Result<(), TableError> {
        let mut slots = Vec::new();
        self.peek(keys, rows, &mut slots)?;
        let is_unknown = |slot: u32| slot == ABSENT || self.is_vacant(slot);
        unknown.extend((0..).zip(slots).filter(|(_, slot)| is_unknown(*slot)).map(|(row, _)| row));
        Ok(())
    }
}

impl ReadThrough {
    /// Notes what was frozen: it stays until it is published.
    pub(crate) fn froze(&mut self, age: Age, chunks: &[FrozenChunk]) {
        let dirty = chunks.iter().map(|chunk| (chunk.chunk, chunk.dirty));
        self.in_flight.push((age, dirty.collect()));
    }

    /// Rows leave memory: what was announced before may be older than they are.
    pub(crate) fn trimmed(&mut self) {
        self.era += 1;
    }

    /// Whether the row in a slot was frozen and is not published.
    pub(crate) fn is_in_flight(&self, slot: u32) -> bool {
        self.in_flight.iter().any(|(_, chunks)| super::slots::is_set(chunks, slot))
    }

    /// Slots have got other numbers.
    pub(crate) fn renumber(&mut self, from: &[u32]) {
        for (_, chunks) in &mut self.in_flight {
            let mut moved = BTreeMap::new();
            for (to, &from) in (0..).zip(from) {
                if super::slots::is_set(chunks, from) {
                    super::slots::set(&mut moved, to);
                }
            }
            *chunks = moved;
        }
    }
}
