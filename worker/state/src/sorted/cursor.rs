//! Walking through a segment row by row, one block in memory.

use std::ops::Range;

use weir_protocol::KeyGroupRange;

use super::{Block, SegmentError, Stored};

/// A place in the rows of some key groups of a segment.
#[derive(Debug)]
pub struct Cursor {
    stored: Stored,
    blocks: Range<u32>,
    block: Option<Block>,
    row: usize,
    end: u64,
}

impl Cursor {
    /// At the first row of `range`.
    ///
    /// # Errors
    /// When a block cannot be read or is damaged.
    pub fn open(stored: &Stored, range: KeyGroupRange) -> Result<Self, SegmentError> {
        let blocks = stored.reader().blocks_of(range);
        let (start, end) = (u64::from(range.start) << 48, u64::from(range.end) << 48);
        let mut cursor = Self { stored: stored.clone(), blocks, block: None, row: 0, end };
        cursor.next_block()?;
        while let Some(block) = &cursor.block {
            cursor.row = block.lower_bound(start, &[], &[]);
            if cursor.row < block.rows() {
                break;
            }
            cursor.next_block()?;
        }
        cursor.stop_at_end();
        Ok(cursor)
    }

    /// The row it stands at: its block and its number there. `None` after the last one.
    #[must_use]
    #[inline]
    pub fn at(&self) -> Option<(&Block, usize)> {
        self.block.as_ref().map(|block| (block, self.row))
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// When a block cannot be read or is damaged.
    #[inline]
    pub fn advance(&mut self) -> Result<(), SegmentError> {
        self.row += 1;
        if self.block.as_ref().is_some_and(|block| self.row >= block.rows()) {
            self.next_block()?;
        }
        self.stop_at_end();
        Ok(())
    }

    #[inline]
    fn stop_at_end(&mut self) {
        if self.block.as_ref().is_some_and(|block| block.prefix(self.row) >= self.end) {
            self.block = None;
            self.blocks = 0..0;
        }
    }

    fn next_block(&mut self) -> Result<(), SegmentError> {
        self.row = 0;
        self.block = self.blocks.next().map(|number| self.stored.block(number)).transpose()?;
        Ok(())
    }

    /// The segment that it walks through.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.block.as_ref().map_or(0, Block::bytes)
    }
}
