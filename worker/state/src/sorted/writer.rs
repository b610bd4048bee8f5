//! Writing a segment from sorted rows.

use weir_protocol::KeyGroupRange;

use super::block_builder::BlockBuilder;
use super::footer::{Footer, OrderSpan};
use super::index::{Entry, IndexBuilder};
use super::{Ages, Meta, Row, SegmentError};

/// What a segment is, beside its rows.
#[derive(Clone, Debug)]
pub struct Header {
    /// Random.
    pub id: u128,
    /// The ages it speaks for.
    pub ages: Ages,
    /// The key groups it speaks for.
    pub range: KeyGroupRange,
    /// Schema, clock and bounds.
    pub meta: Meta,
}

/// Builds a segment in memory; rows must come sorted.
pub struct SegmentWriter {
    header: Header,
    block: BlockBuilder,
    index: IndexBuilder,
    out: Vec<u8>,
    blocks: u32,
    block_max_order: u64,
    last: Option<(u64, Vec<u8>, Vec<u8>)>,
    rows: u64,
    tombstones: u64,
    orders: Option<OrderSpan>,
    stamps: Option<(u32, u32)>,
}

/// The first eight bytes of an encoded order, as a number that compares alike.
#[must_use]
#[inline]
pub(crate) fn order_word(order: &[u8]) -> u64 {
    let mut word = [0; 8];
    let len = order.len().min(8);
    word[..len].copy_from_slice(&order[..len]);
    u64::from_be_bytes(word)
}

/// The first order column of an encoded order, where that is a signed number or a time that is never
/// NULL and ascends.
#[must_use]
#[inline]
pub(crate) fn order_time(order: &[u8]) -> i64 {
    (order_word(order) as i64) ^ i64::MIN
}

impl SegmentWriter {
    /// An empty segment.
    #[must_use]
    pub fn new(header: Header) -> Self {
        let spec = &header.meta.table;
        let ordered = spec.is_ordered();
        let block = BlockBuilder::new(ordered, spec.expiry.is_ttl(), &spec.kinds());
        let index = IndexBuilder::new(ordered, spec.filter);
        Self {
            header,
            block,
            index,
            out: Vec::new(),
            blocks: 0,
            block_max_order: 0,
            last: None,
            rows: 0,
            tombstones: 0,
            orders: None,
            stamps: None,
        }
    }

    /// With room for so many bytes of rows, where they are known about: to grow takes as much again.
    #[must_use]
    pub fn with_room(mut self, bytes: usize) -> Self {
        self.out.reserve_exact(bytes);
        self
    }

    /// Appends a row, which must come after the last one.
    ///
    /// # Errors
    /// When it does not, or is larger than a block can be.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), SegmentError> {
        if let Some((prefix, key, order)) = &mut self.last {
            if (*prefix, key.as_slice(), order.as_slice()) >= row.place() {
                return Err(SegmentError::Unsorted);
            }
            *prefix = row.prefix;
            for (last, now) in [(key, row.key), (order, row.order)] {
                last.clear();
                last.extend_from_slice(now);
            }
        } else {
            self.last = Some((row.prefix, row.key.to_vec(), row.order.to_vec()));
        }
        let bytes = BlockBuilder::bytes_of(row);
        // A large row stands alone, so that small ones beside it stay cheap to read.
        if self.block.rows() > 0 && bytes > super::block_builder::TARGET {
            self.close_block()?;
        }
        self.block.push(row, bytes)?;
        self.index.note(row.prefix);
        self.rows += 1;
        self.tombstones += u64::from(row.tombstone);
        if !row.order.is_empty() {
            let word = order_word(row.order);
            let span = self.orders.get_or_insert(OrderSpan { min: word, max: word });
            span.min = span.min.min(word);
            span.max = span.max.max(word);
            self.block_max_order = self.block_max_order.max(word);
        } else {
            // A tombstone of a whole key is not below any bound.
            self.block_max_order = u64::MAX;
        }
        let (min, max) = self.stamps.get_or_insert((row.stamp, row.stamp));
        (*min, *max) = ((*min).min(row.stamp), (*max).max(row.stamp));
        if self.block.is_full() { self.close_block() } else { Ok(()) }
    }

    /// Says that the segment speaks for key groups only up to this one, exclusive.
    pub fn end_at(&mut self, end: u16) {
        self.header.range.end = end;
    }

    /// Bytes of the segment so far, without index and filters.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Memory that it holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.out.capacity() + self.index.bytes()
    }

    /// Number of rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn close_block(&mut self) -> Result<(), SegmentError> {
        let (offset, rows) = (self.out.len(), self.block.rows());
        let first_prefix = self.block.first_prefix();
        self.block.finish(self.header.id, self.blocks, &mut self.out);
        let len = self.out.len() - offset;
        self.out.resize(self.out.len().next_multiple_of(8), 0);
        let max_order = std::mem::take(&mut self.block_max_order);
        self.index.push(&Entry { first_prefix, offset: offset as u64, len, rows, max_order })?;
        self.blocks += 1;
        Ok(())
    }

    /// The segment's bytes.
    ///
    /// # Errors
    /// When the segment has grown beyond what its index can address.
    pub fn finish(mut self) -> Result<(Vec<u8>, Footer), SegmentError> {
        if self.block.rows() > 0 {
            self.close_block()?;
        }
        let spec = &self.header.meta.table;
        let (ordered, stamped, filtered) = (spec.is_ordered(), spec.expiry.is_ttl(), spec.filter);
        let meta = self.header.meta.to_bytes();
        let (filters, index) = self.index.finish();
        let filters_at = self.out.len() as u64;
        self.out.extend_from_slice(&filters);
        let index_at = self.out.len() as u64;
        self.out.extend_from_slice(&index);
        self.out.extend_from_slice(&meta);
        let (min_stamp, max_stamp) = self.stamps.unwrap_or_default();
        let footer = Footer {
            id: self.header.id,
            ages: self.header.ages,
            range: self.header.range,
            ordered,
            stamped,
            filtered,
            blocks: self.blocks,
            rows: self.rows,
            tombstones: self.tombstones,
            orders: self.orders,
            min_stamp,
            max_stamp,
            filters_at,
            index_at,
            index_len: index.len() as u32,
            meta_len: meta.len() as u32,
            meta_crc: crc32c::crc32c(&meta),
        };
        footer.write(&mut self.out);
        Ok((self.out, footer))
    }
}
