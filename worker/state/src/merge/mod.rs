//! Merging segments: of several, the rows that count.
//!
//! What enters: segments of one table, of any subtasks, with the key groups that each speaks
//! for. What leaves: their rows in order, of which the youngest wins, without what tombstones
//! hide, what has expired, and what is below an expiry bound. Restoring a table and compacting
//! segments are this and nothing else.
//!
//! What always holds:
//! - One block per segment is in memory.
//! - A tombstone goes only when nothing older can exist ([`crate::sorted::Ages::is_complete`]):
//!   an older segment that is not merged may still hold the row.
//! - What expired goes always: the clock and the stamps of a row never go back, so that every
//!   older copy of it has expired, too.

mod compact;
pub mod policy;

use weir_protocol::KeyGroupRange;

pub use compact::{Compaction, Output};

use crate::sorted::{Block, Cursor, SegmentError, Stored, group_of, order_word};
use crate::table::{Bounds, Evolution, EvolveError, Expiry, TableSpec, evolve};

/// A segment and the key groups for which it counts.
#[derive(Clone, Debug)]
pub struct Input {
    /// The segment.
    pub stored: Stored,
    /// Its rows of other groups are not looked at.
    pub range: KeyGroupRange,
}

impl Input {
    /// All of a segment.
    #[must_use]
    pub fn new(stored: Stored) -> Self {
        let range = stored.reader().footer().range;
        Self { stored, range }
    }
}

/// Segments that cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One that cannot be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// One of another schema.
    #[error(transparent)]
    Schema(#[from] EvolveError),
}

struct Source {
    cursor: Cursor,
    evolution: Evolution,
}

/// The rows that count of several segments, in order.
pub struct Merge {
    /// Youngest first.
    sources: Vec<Source>,
    complete: bool,
    expiry: Expiry,
    clock: u32,
    bounds: Bounds,
    /// The source whose row was given last.
    given: Option<usize>,
    /// The key of which everything is gone that is older than this source.
    cleared: Option<(u64, Vec<u8>, usize)>,
}

/// A row that counts.
#[derive(Clone, Copy)]
pub struct Hit<'a> {
    /// Which of the segments it is from.
    pub source: usize,
    /// Its block.
    pub block: &'a Block,
    /// Its number there.
    pub row: usize,
    /// How it is read under the table's schema.
    pub evolution: &'a Evolution,
}

impl Merge {
    /// Rows of `range` under the schema of `table`. `complete`: nothing older than the inputs
    /// exists.
    ///
    /// # Errors
    /// When a segment cannot be read or has a schema that cannot be taken over.
    pub fn new(
        table: &TableSpec,
        inputs: &[Input],
        range: KeyGroupRange,
        complete: bool,
    ) -> Result<Self, MergeError> {
        let mut inputs: Vec<&Input> = inputs.iter().collect();
        inputs.sort_by_key(|input| std::cmp::Reverse(input.stored.reader().footer().ages.hi));
        let mut sources = Vec::with_capacity(inputs.len());
        let (mut clock, mut bounds) = (0, Bounds::default());
        for input in inputs {
            let start = input.range.start.max(range.start);
            let range = KeyGroupRange { start, end: input.range.end.min(range.end).max(start) };
            let meta = input.stored.reader().meta();
            clock = clock.max(meta.clock);
            bounds.raise_all(&meta.bounds, range);
            let evolution = evolve(&meta.table, table)?;
            sources.push(Source { cursor: Cursor::open(&input.stored, range)?, evolution });
        }
        Ok(Self {
            sources,
            complete,
            expiry: table.expiry,
            clock,
            bounds,
            given: None,
            cleared: None,
        })
    }

    /// The highest clock of the segments, in seconds, by which rows expire.
    #[must_use]
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// The highest bounds of the segments.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Memory that it holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.sources.iter().map(|source| source.cursor.memory()).sum()
    }

    /// The next row that counts; tombstones only if they are still needed.
    ///
    /// # Errors
    /// When a segment cannot be read or is damaged.
    pub fn advance(&mut self) -> Result<Option<Hit<'_>>, MergeError> {
        if let Some(given) = self.given.take() {
            self.sources[given].cursor.advance()?;
        }
        while let Some(youngest) = self.pass_shadowed()? {
            if self.counts(youngest) {
                self.given = Some(youngest);
                break;
            }
            self.sources[youngest].cursor.advance()?;
        }
        Ok(self.current())
    }

    /// The row that was given last.
    pub(crate) fn current(&self) -> Option<Hit<'_>> {
        self.given.and_then(|source| self.hit(source))
    }

    /// How the rows of each source are read.
    pub(crate) fn evolutions(&self) -> Vec<Evolution> {
        self.sources.iter().map(|source| source.evolution.clone()).collect()
    }

    fn hit(&self, source: usize) -> Option<Hit<'_>> {
        let Source { cursor, evolution } = &self.sources[source];
        let (block, row) = cursor.at()?;
        Some(Hit { source, block, row, evolution })
    }

    /// The source with the smallest row, the youngest of several; the others go past it.
    fn pass_shadowed(&mut self) -> Result<Option<usize>, MergeError> {
        let Some(youngest) = self.smallest() else { return Ok(None) };
        for older in youngest + 1..self.sources.len() {
            let same = match (self.sources[youngest].cursor.at(), self.sources[older].cursor.at()) {
                (Some((a, i)), Some((b, j))) => {
                    b.compare(j, a.prefix(i), a.key(i), a.order(i)).is_eq()
                }
                _ => false,
            };
            if same {
                self.sources[older].cursor.advance()?;
            }
        }
        Ok(Some(youngest))
    }

    fn smallest(&self) -> Option<usize> {
        let mut smallest: Option<(usize, &Block, usize)> = None;
        for (i, source) in self.sources.iter().enumerate() {
            let Some((block, row)) = source.cursor.at() else { continue };
            let smaller = smallest.is_none_or(|(_, b, j)| {
                block.compare(row, b.prefix(j), b.key(j), b.order(j)).is_lt()
            });
            if smaller {
                smallest = Some((i, block, row));
            }
        }
        smallest.map(|(i, ..)| i)
    }

    /// Whether the row at which a source stands, the youngest at its place, is to be given.
    fn counts(&mut self, source: usize) -> bool {
        let Some((block, row)) = self.sources[source].cursor.at() else { return false };
        let (prefix, key, order) = (block.prefix(row), block.key(row), block.order(row));
        let of_cleared = self
            .cleared
            .as_ref()
            .filter(|(p, k, _)| *p == prefix && k == key)
            .map(|(_, _, since)| *since);
        if of_cleared.is_some_and(|since| source > since) {
            return false;
        }
        if !order.is_empty() && order_word(order) < self.bounds.word(group_of(prefix)) {
            return false;
        }
        if block.is_tombstone(row) {
            if order.is_empty() {
                self.cleared = Some((prefix, key.to_vec(), source));
            }
            return !self.complete;
        }
        !self.expiry.is_over(block.stamp(row), self.clock)
    }
}
