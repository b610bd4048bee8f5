//! One table read from end to end in pieces: some key groups at a time, so that little of it is in
//! memory, however large it is. A key group is never cut.

use std::sync::Arc;

use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::merge::Input;
use weir_state::sorted::SegmentReader;

use super::{DataError, DataReader};
use crate::manifest::TableSegment;
use crate::manifest::tables::counting;

/// A piece is of as many key groups as have about so many bytes.
const PIECE_BYTES: u64 = 16 << 20;

/// A table of which the indexes are in memory, and no rows.
#[derive(Clone, Debug)]
pub struct OpenTable {
    reader: DataReader,
    segments: Vec<Counting>,
    piece_bytes: u64,
}

/// A segment, and the key groups for which it counts.
#[derive(Clone, Debug)]
struct Counting {
    reference: TableSegment,
    reader: Arc<SegmentReader>,
    ranges: Vec<KeyGroupRange>,
}

impl DataReader {
    /// Opens one table's segments for the key groups in `range`.
    ///
    /// # Errors
    /// When an object is missing, or a segment is damaged.
    pub async fn open_table(
        &self,
        references: &[TableSegment],
        range: KeyGroupRange,
    ) -> Result<OpenTable, DataError> {
        let mut segments = Vec::new();
        for (reference, ranges) in counting(references, range) {
            let (reference, reader) = (reference.clone(), self.open_table_index(reference).await?);
            segments.push(Counting { reference, reader: Arc::new(reader), ranges });
        }
        Ok(OpenTable { reader: self.clone(), segments, piece_bytes: PIECE_BYTES })
    }
}

impl OpenTable {
    /// Makes pieces of about so many bytes.
    #[must_use]
    pub fn with_pieces_of(self, bytes: u64) -> Self {
        Self { piece_bytes: bytes, ..self }
    }

    /// The first key groups of `left` whose rows are to be read together.
    #[must_use]
    pub fn next_piece(&self, left: KeyGroupRange) -> KeyGroupRange {
        let mut piece = KeyGroupRange { start: left.start, end: left.end.min(left.start + 1) };
        let mut bytes = self.bytes_of(piece);
        while piece.end < left.end {
            let next = KeyGroupRange { start: piece.end, end: piece.end + 1 };
            // Neighbours share a block, so that this is a little too much.
            bytes += self.bytes_of(next);
            if bytes > self.piece_bytes {
                break;
            }
            piece.end = next.end;
        }
        piece
    }

    /// What is stored for these key groups, as blocks, in bytes.
    #[must_use]
    pub fn bytes_of(&self, range: KeyGroupRange) -> u64 {
        let of = |segment: &Counting| -> u64 {
            let ranges = segment.ranges.iter().map(|own| own.intersection(range));
            let blocks = ranges.map(|range| segment.reader.blocks_of(range));
            let ends = blocks.filter(|blocks| !blocks.is_empty()).map(|blocks| {
                let last = segment.reader.block_ref(blocks.end - 1);
                last.offset + u64::from(last.len) - segment.reader.block_ref(blocks.start).offset
            });
            ends.sum()
        };
        self.segments.iter().map(of).sum()
    }

    /// Everything that counts for these key groups, in memory.
    ///
    /// # Errors
    /// When an object is missing, or a block is damaged.
    pub async fn read(&self, range: KeyGroupRange) -> Result<Vec<Input>, DataError> {
        let mut inputs = Vec::new();
        for Counting { reference, reader, ranges } in &self.segments {
            for own in ranges.iter().map(|own| own.intersection(range)) {
                if !own.is_empty() {
                    inputs.push(self.reader.read_table_rows(reference, reader, own).await?);
                }
            }
        }
        Ok(inputs)
    }

    /// What of a piece counts for one key group of it. Each is read by itself: rows expire by the
    /// clock of the subtask that owned it, whatever the subtasks beside it had reached.
    #[must_use]
    pub fn of_group(piece: &[Input], group: KeyGroup) -> Vec<Input> {
        let range = KeyGroupRange { start: group.0, end: group.0 + 1 };
        let own = piece.iter().filter(|input| input.range.contains(group));
        own.map(|input| Input { stored: input.stored.clone(), range }).collect()
    }
}
