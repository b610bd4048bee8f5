//! Reading a segment: which blocks a question needs, and the answer within a block.
//!
//! Whoever can wait reads through [`Stored`]. Whoever cannot asks [`SegmentReader::plan`] for
//! the blocks of many keys at once, has them read elsewhere, and gives each to
//! [`SegmentReader::block`]; the blocks are then searched in memory.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use weir_protocol::KeyGroupRange;

use super::block::{Block, Expected};
use super::filter;
use super::footer::{Footer, LEN};
use super::index::Index;
use super::meta::Meta;
use super::{Blocks, Place, SegmentError};

/// Where a block lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockRef {
    /// Its number in the segment.
    pub number: u32,
    /// Its first byte in the segment.
    pub offset: u64,
    /// Bytes to read.
    pub len: u32,
}

/// An open segment: footer, meta and index, and its filters once they were given.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    footer: Footer,
    meta: Meta,
    index: Index,
    filters: Option<Bytes>,
}

impl SegmentReader {
    /// Opens a segment of which the last bytes are `tail`, at least [`Footer::tail`] of them.
    ///
    /// # Errors
    /// When the tail is damaged, too short, or of a newer version.
    pub fn open(tail: &Bytes) -> Result<Self, SegmentError> {
        let footer = Footer::read(tail)?;
        let id = footer.id;
        let damaged =
            |problem| SegmentError::Damaged { segment: id, place: Place::Footer, problem };
        let index_len = footer.index_len as usize;
        let (Some(meta_at), Some(index_at)) = (
            (tail.len() - LEN).checked_sub(footer.meta_len as usize),
            (tail.len() - LEN).checked_sub(footer.meta_len as usize + index_len),
        ) else {
            return Err(damaged("less was read of the segment than its index needs"));
        };
        let meta = Meta::read(&tail[meta_at..tail.len() - LEN], footer.meta_crc, id)?;
        if meta.table.is_ordered() != footer.ordered || meta.table.expiry.is_ttl() != footer.stamped
        {
            return Err(damaged("it contradicts the meta section"));
        }
        let pages = tail.slice(index_at..meta_at);
        let index = Index::open(pages, id, footer.ordered, footer.blocks, footer.filters_at)?;
        Ok(Self { footer, meta, index, filters: None })
    }

    /// What the segment says about itself.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// What it says about its table.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where all filter parts lie, for whoever wants to read and give them: offset and length.
    #[must_use]
    pub fn filters_at(&self) -> (u64, u32) {
        (self.footer.filters_at, (self.footer.index_at - self.footer.filters_at) as u32)
    }

    /// Takes the bytes at [`SegmentReader::filters_at`]; [`SegmentReader::plan`] uses them.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn set_filters(&mut self, filters: Bytes) -> Result<(), SegmentError> {
        if !self.footer.filtered {
            return Ok(());
        }
        for page in 0..self.index.pages() {
            let part = filters.get(self.index.filter(page)).unwrap_or_default();
            filter::check(part, self.footer.id, page as u32)?;
        }
        self.filters = Some(filters);
        Ok(())
    }

    /// The block of this number.
    #[must_use]
    pub fn block_ref(&self, number: u32) -> BlockRef {
        self.index.block_ref(number)
    }

    /// Number of rows of a block, from the index.
    #[must_use]
    pub fn rows_of(&self, number: u32) -> usize {
        self.index.rows(number)
    }

    /// The numbers of the blocks that may hold rows of these key groups.
    #[must_use]
    pub fn blocks_of(&self, range: KeyGroupRange) -> std::ops::Range<u32> {
        if range.is_empty() || self.index.blocks() == 0 {
            return 0..0;
        }
        let first = self.index.first_for(u64::from(range.start) << 48);
        first..self.index.end_for((u64::from(range.end) << 48) - 1)
    }

    /// Whether everything in the block has an order below, going by its first eight bytes.
    #[must_use]
    pub fn is_below(&self, number: u32, order_word: u64) -> bool {
        self.index.max_order(number) < order_word
    }

    /// The blocks that may hold one of the keys with these prefixes, each once, in order.
    #[must_use]
    pub fn plan(&self, prefixes: &[u64]) -> Vec<BlockRef> {
        let mut blocks: Vec<BlockRef> =
            prefixes.iter().flat_map(|&prefix| self.blocks_for(prefix)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// The blocks that may hold rows of the keys with this prefix, in order. Filters that were
    /// given rule out what they can.
    pub fn blocks_for(&self, prefix: u64) -> impl Iterator<Item = BlockRef> {
        let end = self.index.end_for(prefix);
        (self.index.first_for(prefix).min(end)..end)
            .filter(move |&block| self.may_hold(block, prefix))
            .map(|block| self.index.block_ref(block))
    }

    fn may_hold(&self, block: u32, prefix: u64) -> bool {
        self.filters.as_ref().is_none_or(|filters| {
            let part = self.index.filter(Index::page_of(block));
            // Checked when they were given.
            filters.get(part).is_none_or(|part| filter::may_hold(part, prefix))
        })
    }

    /// Checks bytes that were read for a block.
    ///
    /// # Errors
    /// When they are not what was written there.
    pub fn block(&self, number: u32, bytes: Bytes) -> Result<Block, SegmentError> {
        let Footer { id, ordered, stamped, .. } = self.footer;
        let values = self.meta.table.columns.len();
        let block = Block::open(bytes, Expected { segment: id, number, ordered, stamped, values })?;
        if block.prefix(0) != self.index.first_prefix(number)
            || block.rows() != self.index.rows(number)
        {
            let problem = "it is not the one that the index describes";
            return Err(SegmentError::Damaged {
                segment: id,
                place: Place::Block(number),
                problem,
            });
        }
        Ok(block)
    }

    /// Memory that it holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.index.bytes() + self.filters.as_ref().map_or(0, Bytes::len)
    }
}

/// An open segment together with its bytes, for whoever may wait for a read.
#[derive(Clone)]
pub struct Stored {
    reader: Arc<SegmentReader>,
    bytes: Arc<dyn Blocks + Send + Sync>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("reader", &self.reader).finish_non_exhaustive()
    }
}

impl Stored {
    /// Opens a segment of `len` bytes, filters included.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn open(bytes: Arc<dyn Blocks + Send + Sync>, len: u64) -> Result<Self, SegmentError> {
        let read = |segment, from: u64, to: u64| {
            bytes
                .read(from, (to - from) as u32)
                .map_err(|error| SegmentError::Read { segment, error })
        };
        let footer = Footer::read(&read(0, len.saturating_sub(LEN as u64), len)?)?;
        if footer.bytes() != len {
            let problem = "the segment has another length than it says";
            return Err(SegmentError::Damaged {
                segment: footer.id,
                place: Place::Footer,
                problem,
            });
        }
        let mut reader = SegmentReader::open(&read(footer.id, footer.index_at, len)?)?;
        reader.set_filters(read(footer.id, footer.filters_at, footer.index_at)?)?;
        Ok(Self::new(Arc::new(reader), bytes))
    }

    /// A segment that is open, and its bytes, or those of the blocks that will be asked for.
    #[must_use]
    pub fn new(reader: Arc<SegmentReader>, bytes: Arc<dyn Blocks + Send + Sync>) -> Self {
        Self { reader, bytes }
    }

    /// The open segment.
    #[must_use]
    pub fn reader(&self) -> &SegmentReader {
        &self.reader
    }

    pub(crate) fn shared_reader(&self) -> &Arc<SegmentReader> {
        &self.reader
    }

    /// Reads the bytes of a block.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, at: BlockRef) -> Result<Bytes, SegmentError> {
        let segment = self.reader.footer().id;
        self.bytes.read(at.offset, at.len).map_err(|error| SegmentError::Read { segment, error })
    }

    /// Reads a block.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn block(&self, number: u32) -> Result<Block, SegmentError> {
        self.reader.block(number, self.read(self.reader.block_ref(number))?)
    }

    /// The row of a key and order, tombstone or not: its block and where it stands there.
    ///
    /// # Errors
    /// When a block cannot be read or is damaged.
    pub fn find(
        &self,
        prefix: u64,
        key: &[u8],
        order: &[u8],
    ) -> Result<Option<(Block, usize)>, SegmentError> {
        for at in self.reader.blocks_for(prefix) {
            let block = self.block(at.number)?;
            let row = block.lower_bound(prefix, key, order);
            if row < block.rows() && block.compare(row, prefix, key, order).is_eq() {
                return Ok(Some((block, row)));
            }
        }
        Ok(None)
    }
}
