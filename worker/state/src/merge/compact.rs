//! From segments to fewer segments.

use bytes::Bytes;
use weir_protocol::KeyGroupRange;

use super::{Input, Merge, MergeError};
use crate::sorted::{Age, Ages, Footer, Header, Meta, Row, SegmentWriter, group_of};
use crate::table::TableSpec;

/// A segment that a compaction wrote.
#[derive(Clone, Debug)]
pub struct Output {
    /// All of it.
    pub bytes: Bytes,
    /// What it is.
    pub footer: Footer,
}

/// A merge of published segments of neighbouring ages, output by output.
///
/// Its outputs stand in for the inputs only if all of these still count where the outputs are
/// adopted; else the outputs are garbage.
pub struct Compaction {
    merge: Merge,
    table: TableSpec,
    groups: u32,
    ages: Ages,
    /// Groups that no output speaks for yet.
    left: KeyGroupRange,
    /// Whether the merge stands at a row that is not written.
    waiting: bool,
    cut: usize,
}

impl Compaction {
    /// A merge of `inputs` in `range` into segments that are closed at the first end of a key
    /// group after `cut` bytes: a key group is never cut, so that of one age it has one segment.
    /// `complete`: nothing older than the inputs exists in `range`, so that tombstones can go
    /// and the outputs reach down to [`Age::ZERO`].
    ///
    /// # Errors
    /// When a segment cannot be read, or has a schema that cannot be taken over.
    pub fn new(
        table: &TableSpec,
        inputs: &[Input],
        range: KeyGroupRange,
        complete: bool,
        cut: usize,
    ) -> Result<Self, MergeError> {
        let merge = Merge::new(table, inputs, range, complete)?;
        let ages = inputs.iter().map(|input| input.stored.reader().footer().ages);
        let lo =
            if complete { Age::ZERO } else { ages.clone().map(|a| a.lo).min().unwrap_or_default() };
        let hi = ages.map(|a| a.hi).max().unwrap_or_default();
        let groups = inputs.iter().map(|input| input.stored.reader().meta().groups).max();
        Ok(Self {
            merge,
            table: table.clone(),
            groups: groups.unwrap_or_default(),
            ages: Ages { lo, hi },
            left: range,
            waiting: false,
            cut,
        })
    }

    /// Memory that it holds between outputs, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.merge.memory()
    }

    /// The next output, or `None` after the last. `id` must be random. The ranges of all outputs
    /// are those of the compaction, one after another, also where there are no rows.
    ///
    /// # Errors
    /// When a segment cannot be read or is damaged.
    pub fn write_next(&mut self, id: u128) -> Result<Option<Output>, MergeError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let mut bounds = crate::table::Bounds::default();
        bounds.raise_all(self.merge.bounds(), self.left);
        let meta = Meta {
            table: self.table.clone(),
            groups: self.groups,
            clock: self.merge.clock(),
            bounds,
        };
        let mut writer = SegmentWriter::new(Header { id, ages: self.ages, range: self.left, meta });
        let mut last_group = None;
        let mut end = self.left.end;
        loop {
            let hit = if std::mem::take(&mut self.waiting) {
                self.merge.current()
            } else {
                self.merge.advance()?
            };
            let Some(hit) = hit else { break };
            let group = group_of(hit.block.prefix(hit.row));
            if last_group.is_some_and(|last| last != group) && writer.bytes() >= self.cut {
                self.waiting = true;
                end = group.0;
                break;
            }
            last_group = Some(group);
            let tombstone = hit.block.is_tombstone(hit.row);
            let values: Vec<_> = if tombstone {
                Vec::new()
            } else {
                hit.evolution.values(|column| hit.block.value(hit.row, column)).collect()
            };
            writer.push(&Row {
                prefix: hit.block.prefix(hit.row),
                key: hit.block.key(hit.row),
                order: hit.block.order(hit.row),
                stamp: hit.block.stamp(hit.row),
                tombstone,
                values: &values,
            })?;
        }
        writer.end_at(end);
        self.left.start = end;
        let (bytes, footer) = writer.finish()?;
        Ok(Some(Output { bytes: bytes.into(), footer }))
    }
}
