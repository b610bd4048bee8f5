//! Reading rows back that were dropped from memory.
//!
//! A table that was opened on segments ([`super::Keyed::open`], [`super::Ordered::open`]) holds
//! in memory what changed and what was used, and finds the rest in its segments:
//!
//! 1. When a batch arrives, `announce` says which blocks its keys need; nothing, if all are in
//!    memory or filters rule them out.
//! 2. Whoever does I/O reads these, in any order, and gives each to [`Announced::put`]; of keys with
//!    one row, older segments are looked into only where younger ones turn out to have nothing.
//! 3. When the batch is taken and the announcement [`Announced::is_ready`], `install` puts the
//!    rows into memory. From then on the batch works as with any table.
//!
//! Batches are taken in the order in which they came, so that neither watermarks nor barriers
//! need a special case. What always holds:
//! - A row is only installed where nothing is known of it: no row, no tombstone, no marker.
//! - An announcement is good until `follow` or [`super::Table::trim`]: then a row or tombstone
//!   that was younger than the blocks may have left memory. Such an announcement installs
//!   nothing and the batch is announced again.
//! - Only rows that the segments hold as they are leave memory, and tombstones only once a
//!   segment says the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use bytes::Bytes;
use weir_protocol::{KeyGroup, KeyGroupRange};

use super::slots::{Bits, FrozenChunk, is_set, set};
use super::{Evolution, Groups, Table, TableError, TableSpec, evolve};
use crate::canonical::encode_rows;
use crate::hash::hash_columns;
use crate::merge::{Input, MergeError};
use crate::sorted::{
    Age, Block, BlockRef, SegmentError, SegmentReader, Strings, Value, group_of, prefix,
};

/// A published segment, and the key groups for which it counts.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its index and, if they were read, its filters.
    pub reader: Arc<SegmentReader>,
    /// Its rows of other groups are not looked at.
    pub range: KeyGroupRange,
}

impl Layer {
    pub(crate) fn of(input: &Input) -> Self {
        Self { reader: Arc::clone(input.stored.shared_reader()), range: input.range }
    }
}

/// The segments of a table, youngest first, and how each is read.
#[derive(Debug)]
struct Layers(Vec<(Layer, Evolution)>);

impl Layers {
    fn new(spec: &TableSpec, mut layers: Vec<Layer>) -> Result<Self, MergeError> {
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.reader.footer().ages.hi));
        let layers = layers.into_iter().map(|layer| {
            let evolution = evolve(&layer.reader.meta().table, spec)?;
            Ok((layer, evolution))
        });
        Ok(Self(layers.collect::<Result<_, MergeError>>()?))
    }

    fn reader(&self, layer: usize) -> &SegmentReader {
        &self.0[layer].0.reader
    }

    /// The layers that speak for the group of a prefix, youngest first.
    fn of(&self, prefix: u64) -> impl Iterator<Item = usize> {
        let group = group_of(prefix);
        let layers = self.0.iter().enumerate();
        layers.filter(move |(_, (layer, _))| layer.range.contains(group)).map(|(i, _)| i)
    }
}

/// What a table that reads through knows of its segments.
#[derive(Debug)]
pub(crate) struct ReadThrough {
    layers: Arc<Layers>,
    /// A key has one row: the youngest segment that has it says all.
    one_row: bool,
    /// Counts what makes announcements bad.
    era: u64,
    /// What was frozen and is not published: it must stay in memory.
    in_flight: Vec<(Age, BTreeMap<u32, Bits>)>,
    /// Whether every row is in memory: nothing has to be looked for.
    is_whole: bool,
}

impl ReadThrough {
    pub(crate) fn new(spec: &TableSpec, layers: Vec<Layer>) -> Result<Self, MergeError> {
        let is_whole = layers.is_empty();
        let layers = Arc::new(Layers::new(spec, layers)?);
        let one_row = !spec.is_ordered();
        Ok(Self { layers, one_row, era: 0, in_flight: Vec::new(), is_whole })
    }

    /// Of a table that has every row in memory.
    pub(crate) fn of_whole(spec: &TableSpec, layers: Vec<Layer>) -> Result<Self, MergeError> {
        Ok(Self { is_whole: true, ..Self::new(spec, layers)? })
    }

    /// Whether every row is in memory.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Other segments, which hold what was frozen up to this age.
    pub(crate) fn follow(
        &mut self,
        spec: &TableSpec,
        layers: Vec<Layer>,
        up_to: Age,
    ) -> Result<(), MergeError> {
        self.layers = Arc::new(Layers::new(spec, layers)?);
        self.era += 1;
        self.in_flight.retain(|(age, _)| *age > up_to);
        Ok(())
    }

    /// Which blocks these rows of a batch need, of which memory knows too little.
    pub(crate) fn announce(
        &self,
        groups: Groups,
        keys: &[ArrayRef],
        rows: Vec<u32>,
    ) -> Result<Announced, TableError> {
        let rows = UInt32Array::from(rows);
        let keys: Vec<ArrayRef> =
            keys.iter().map(|key| take(key, &rows, None)).collect::<Result<_, _>>()?;
        let hashes = hash_columns(&keys, rows.len());
        let place = |&hash: &u64| prefix(KeyGroup::of_hash(hash, groups.of), hash);
        let prefixes: Vec<u64> = hashes.values().iter().map(place).collect();
        let mut canonical = Strings::with_capacity(rows.len(), 16);
        encode_rows(&keys, rows.len(), &mut Vec::with_capacity(64), |key| {
            canonical.push(key);
            key.clear();
        })?;
        // Each key once, in the order in which segments have them.
        let of = |row: u32| (prefixes[row as usize], canonical.get(row as usize));
        let mut once: Vec<u32> = (0..rows.len() as u32).collect();
        once.sort_unstable_by(|&a, &b| of(a).cmp(&of(b)));
        once.dedup_by(|a, b| of(*a) == of(*b));
        let open = once.iter().map(|&row| (row, None)).collect();
        let mut announced = Announced {
            layers: Arc::clone(&self.layers),
            era: self.era,
            prefixes,
            canonical,
            keys,
            once,
            open,
            blocks: BTreeMap::new(),
            missing: 0,
        };
        if self.one_row {
            announced.look_further();
        } else {
            announced.want_all();
        }
        Ok(announced)
    }

    /// Whether the announcement may be installed.
    pub(crate) fn accepts(&self, announced: &Announced) -> bool {
        announced.era == self.era && announced.is_ready()
    }

    /// Notes what was frozen: it stays until it is published.
    pub(crate) fn froze(&mut self, age: Age, chunks: &[FrozenChunk]) {
        let dirty = chunks.iter().map(|chunk| (chunk.chunk, chunk.dirty));
        self.in_flight.push((age, dirty.collect()));
    }

    /// Whether the row in a slot was frozen and is not published.
    pub(crate) fn is_in_flight(&self, slot: u32) -> bool {
        self.in_flight.iter().any(|(_, chunks)| is_set(chunks, slot))
    }

    /// How many chunks hold rows that were frozen and are not published.
    pub(crate) fn in_flight_chunks(&self) -> usize {
        self.in_flight.iter().map(|(_, chunks)| chunks.len()).sum()
    }

    /// Slot `from[i]` has become slot `i`.
    pub(crate) fn renumber(&mut self, from: &[u32]) {
        for (_, chunks) in &mut self.in_flight {
            let mut moved = BTreeMap::new();
            for (to, &from) in (0..).zip(from) {
                if is_set(chunks, from) {
                    set(&mut moved, to);
                }
            }
            *chunks = moved;
        }
    }

    /// Rows left memory: what was announced before may be older than they were.
    pub(crate) fn trimmed(&mut self) {
        self.era += 1;
        self.is_whole = false;
    }

    /// Memory in bytes: of indexes and filters, and of marks.
    pub(crate) fn bytes(&self) -> usize {
        let readers: usize = self.layers.0.iter().map(|(layer, _)| layer.reader.memory()).sum();
        let marks: usize = self.in_flight.iter().map(|(_, chunks)| chunks.len()).sum();
        readers + marks * size_of::<(u32, Bits)>() * 3 / 2
    }
}

/// The keys of a batch of which memory knows too little, and the blocks that may hold them.
#[derive(Debug)]
pub struct Announced {
    layers: Arc<Layers>,
    era: u64,
    prefixes: Vec<u64>,
    /// Canonical bytes of each key.
    canonical: Strings,
    /// Their columns.
    keys: Vec<ArrayRef>,
    /// Positions of the keys, each key once.
    once: Vec<u32>,
    /// Keys that were found in no segment so far, by position, and the layer that is looked into.
    open: Vec<(u32, Option<usize>)>,
    /// What is needed: blocks by layer and number, once they are there.
    blocks: BTreeMap<(usize, u32), Option<Block>>,
    /// How many of them are not.
    missing: usize,
}

/// A stored row, or a tombstone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    block: &'a Block,
    row: usize,
    evolution: &'a Evolution,
}

impl<'a> Found<'a> {
    pub(crate) fn is_tombstone(&self) -> bool {
        self.block.is_tombstone(self.row)
    }

    pub(crate) fn stamp(&self) -> u32 {
        self.block.stamp(self.row)
    }

    /// Its values under the table's schema.
    pub(crate) fn values(self) -> impl Iterator<Item = Value<'a>> {
        self.evolution.values(move |column| self.block.value(self.row, column))
    }
}

impl Announced {
    /// The blocks that are still to be read: of which segment, by its id, and which.
    pub fn missing(&self) -> impl Iterator<Item = (u128, BlockRef)> {
        self.blocks.iter().filter(|(_, block)| block.is_none()).map(|((layer, number), _)| {
            let reader = self.layers.reader(*layer);
            (reader.footer().id, reader.block_ref(*number))
        })
    }

    /// Whether nothing is to be read any more. When all that was missing is there and it is not
    /// ready, more is missing: blocks of older segments, for keys that younger ones turned out not
    /// to have.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing == 0
    }

    /// Bytes of the blocks, read or not: what looking ahead is limited by.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let len =
            |(layer, number): &(usize, u32)| self.layers.reader(*layer).block_ref(*number).len;
        self.blocks.keys().map(|at| len(at) as usize).sum()
    }

    /// Takes a block of a segment that was read.
    ///
    /// # Errors
    /// When it is not what was written there: it is to be read once more, from elsewhere.
    pub fn put(&mut self, segment: u128, number: u32, bytes: &Bytes) -> Result<(), SegmentError> {
        for (layer, (Layer { reader, .. }, _)) in self.layers.0.iter().enumerate() {
            if reader.footer().id == segment
                && let Some(block) = self.blocks.get_mut(&(layer, number))
                && block.is_none()
            {
                *block = Some(reader.block(number, bytes.clone())?);
                self.missing -= 1;
            }
        }
        if self.missing == 0 {
            self.look_further();
        }
        Ok(())
    }

    fn want(&mut self, layer: usize, block: u32) {
        if let Entry::Vacant(vacant) = self.blocks.entry((layer, block)) {
            vacant.insert(None);
            self.missing += 1;
        }
    }

    /// Every segment that may have something of a key is needed.
    fn want_all(&mut self) {
        let layers = Arc::clone(&self.layers);
        for (row, _) in std::mem::take(&mut self.open) {
            let prefix = self.prefix(row);
            for layer in layers.of(prefix) {
                let blocks = layers.reader(layer).blocks_for(prefix);
                blocks.for_each(|block| self.want(layer, block.number));
            }
        }
    }

    /// Of each key that was not found yet, the next older segment that may have it is needed. Most
    /// keys are found in the first: filters are seldom wrong.
    fn look_further(&mut self) {
        let layers = Arc::clone(&self.layers);
        while self.missing == 0 && !self.open.is_empty() {
            for (row, looked) in std::mem::take(&mut self.open) {
                if looked.is_some_and(|layer| self.is_in(layer, row)) {
                    continue;
                }
                let prefix = self.prefix(row);
                let older = layers.of(prefix).filter(|&layer| looked.is_none_or(|at| layer > at));
                for layer in older {
                    let mut blocks = layers.reader(layer).blocks_for(prefix).peekable();
                    if blocks.peek().is_some() {
                        blocks.for_each(|block| self.want(layer, block.number));
                        self.open.push((row, Some(layer)));
                        break;
                    }
                }
            }
        }
    }

    /// Whether a layer, of which the blocks are there, has a row or tombstone of a key.
    fn is_in(&self, layer: usize, position: u32) -> bool {
        let (prefix, key) = (self.prefix(position), self.canonical.get(position as usize));
        self.layers.reader(layer).blocks_for(prefix).any(|at| {
            let Some(Some(block)) = self.blocks.get(&(layer, at.number)) else { return false };
            let row = block.lower_bound(prefix, key, &[]);
            row < block.rows() && block.prefix(row) == prefix && block.key(row) == key
        })
    }

    /// Positions of the announced keys, each key once.
    pub(crate) fn positions(&self) -> &[u32] {
        &self.once
    }

    /// The columns of the keys at these positions.
    pub(crate) fn keys(&self, positions: Vec<u32>) -> Result<Vec<ArrayRef>, TableError> {
        let positions = UInt32Array::from(positions);
        Ok(self.keys.iter().map(|key| take(key, &positions, None)).collect::<Result<_, _>>()?)
    }

    pub(crate) fn prefix(&self, position: u32) -> u64 {
        self.prefixes[position as usize]
    }

    /// The stored rows and tombstones of a key that no younger one hides, by order.
    pub(crate) fn find(&self, position: u32) -> BTreeMap<&[u8], Found<'_>> {
        let (prefix, key) = (self.prefix(position), self.canonical.get(position as usize));
        let mut rows = BTreeMap::new();
        for layer in self.layers.of(prefix) {
            let (Layer { reader, .. }, evolution) = &self.layers.0[layer];
            for at in reader.blocks_for(prefix) {
                let Some(Some(block)) = self.blocks.get(&(layer, at.number)) else { continue };
                let first = block.lower_bound(prefix, key, &[]);
                for row in first..block.rows() {
                    if block.prefix(row) != prefix || block.key(row) != key {
                        break;
                    }
                    rows.entry(block.order(row)).or_insert(Found { block, row, evolution });
                }
            }
            // Everything older is gone: a keyed row or tombstone, or a marker.
            let whole = rows.get(&[][..]);
            if whole.is_some() {
                break;
            }
        }
        rows
    }
}

/// A table that can drop rows because segments hold them as they are.
pub(crate) trait Evict: Table {
    /// Drops those that were not used since the last trim, or with `used` the others as well.
    fn evict(&mut self, used: bool);

    /// Begins anew with what counts as used.
    fn forget_used(&mut self);
}

/// [`Table::trim`] of a table that reads through.
pub(crate) fn trim(table: &mut impl Evict, want: usize) -> usize {
    let before = table.memory().total();
    let mut freed = 0;
    for used in [false, true] {
        if freed < want {
            table.evict(used);
            freed = before.saturating_sub(table.memory().total());
        }
    }
    table.forget_used();
    freed
}
