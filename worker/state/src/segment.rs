//! Segments: immutable pieces of keyed state as they are stored.
//!
//! A segment is a sequence of blocks, one per key group that it has rows for, in key-group
//! order. What a block's bytes mean is the operator's affair, under the segment's `schema`;
//! the index makes it possible to read only the groups that moved.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_protocol::{KeyGroup, KeyGroupRange};

/// Whether a segment stands alone or builds on the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentKind {
    /// Everything that its subtask's key groups hold; older segments of these groups are void.
    Full,
    /// Upserts and tombstones on top of the segments before it.
    Delta,
}

/// Where one key group's block lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockIndex {
    /// The key group.
    pub group: KeyGroup,
    /// First byte of the block.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// CRC-32C of the block's bytes.
    pub crc: u32,
}

impl BlockIndex {
    /// Checks that `block` is what was written.
    ///
    /// # Errors
    /// When its length or its checksum differs.
    pub fn check(&self, block: &[u8]) -> Result<(), DamagedBlock> {
        let problem = if block.len() as u64 != self.len {
            "its length differs"
        } else if crc32c::crc32c(block) != self.crc {
            "its checksum differs"
        } else {
            return Ok(());
        };
        Err(DamagedBlock { group: self.group.0, problem })
    }
}

/// An encoded segment, before it is uploaded or after it was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Full or delta.
    pub kind: SegmentKind,
    /// The key groups that the writing subtask owned: what a `Full` segment replaces, also
    /// where it has no block.
    pub range: KeyGroupRange,
    /// Version of the encoding of the blocks; owned by the operator.
    pub schema: u32,
    /// Blocks in key-group order.
    pub blocks: Vec<BlockIndex>,
    /// The blocks' bytes. When only some blocks were fetched, the others are absent from
    /// `blocks` and the offsets refer to what is here.
    pub bytes: Bytes,
}

/// A block that does not hold what its index says.
#[derive(Debug, thiserror::Error)]
#[error("the block of key group {group} is damaged: {problem}")]
pub struct DamagedBlock {
    /// The key group.
    pub group: u16,
    /// What is wrong.
    pub problem: &'static str,
}

/// Collects blocks into a segment; groups must come in ascending order.
#[derive(Debug)]
pub struct SegmentBuilder {
    kind: SegmentKind,
    range: KeyGroupRange,
    schema: u32,
    blocks: Vec<BlockIndex>,
    bytes: Vec<u8>,
}

impl SegmentBuilder {
    /// An empty segment.
    #[must_use]
    pub fn new(kind: SegmentKind, range: KeyGroupRange, schema: u32) -> Self {
        Self { kind, range, schema, blocks: Vec::new(), bytes: Vec::new() }
    }

    /// Appends one group's block.
    pub fn push(&mut self, group: KeyGroup, block: &[u8]) {
        debug_assert!(self.blocks.last().is_none_or(|b| b.group < group));
        debug_assert!(self.range.contains(group));
        self.blocks.push(BlockIndex {
            group,
            offset: self.bytes.len() as u64,
            len: block.len() as u64,
            crc: crc32c::crc32c(block),
        });
        self.bytes.extend_from_slice(block);
    }

    /// The finished segment.
    #[must_use]
    pub fn finish(self) -> Segment {
        Segment {
            kind: self.kind,
            range: self.range,
            schema: self.schema,
            blocks: self.blocks,
            bytes: self.bytes.into(),
        }
    }
}

impl Segment {
    /// The blocks of the groups in `range`, each checked against its checksum.
    ///
    /// # Errors
    /// When a block is shorter than its index says or its checksum differs.
    pub fn blocks_in(
        &self,
        range: KeyGroupRange,
    ) -> impl Iterator<Item = Result<(KeyGroup, Bytes), DamagedBlock>> + '_ {
        self.blocks.iter().filter(move |b| range.contains(b.group)).map(|index| {
            let start = index.offset as usize;
            let end = start.saturating_add(index.len as usize);
            if end > self.bytes.len() {
                let problem = "the segment ends before it";
                return Err(DamagedBlock { group: index.group.0, problem });
            }
            let block = self.bytes.slice(start..end);
            index.check(&block)?;
            Ok((index.group, block))
        })
    }

    /// Whether nothing at all changed: an attempt whose segments are all empty deltas and whose
    /// positions stand still publishes nothing.
    #[must_use]
    pub fn is_empty_delta(&self) -> bool {
        self.kind == SegmentKind::Delta && self.blocks.is_empty()
    }
}
