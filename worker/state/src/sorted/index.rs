//! The index of a segment: one entry per block, in pages of 256.
//!
//! | page bytes | field |
//! |---|---|
//! | 0–3 | CRC-32C of all after it |
//! | 4–7 | entries |
//! | 8–11, 12–15 | where its filter part begins, counted from the first one; its length, or 0 |
//! | 16… | the entries |
//!
//! | entry bytes | field |
//! |---|---|
//! | 0–7 | prefix of the block's first row |
//! | 8–11 | offset of the block / 8 |
//! | 12–13 | length of the block / 256, rounded up |
//! | 14–15 | rows |
//! | 16–23 | only with an order: the first eight bytes of the block's largest order |

use bytes::Bytes;

use super::block::{u16_at, u64_at};
use super::filter::{self, u32_at};
use super::{BlockRef, Place, SegmentError};

const PAGE: usize = 256;
const HEADER: usize = 16;
const ENTRY: usize = 16;
const ORDERED_ENTRY: usize = 24;

/// What the index knows of a block.
pub(crate) struct Entry {
    pub(crate) first_prefix: u64,
    pub(crate) offset: u64,
    pub(crate) len: usize,
    pub(crate) rows: usize,
    pub(crate) max_order: u64,
}

/// Collects entries and, page by page, the prefixes for the filters.
pub(crate) struct IndexBuilder {
    ordered: bool,
    filtered: bool,
    pages: Vec<u8>,
    filters: Vec<u8>,
    entries: Vec<u8>,
    in_page: usize,
    prefixes: Vec<u64>,
}

impl IndexBuilder {
    pub(crate) fn new(ordered: bool, filtered: bool) -> Self {
        Self {
            ordered,
            filtered,
            pages: Vec::new(),
            filters: Vec::new(),
            entries: Vec::new(),
            in_page: 0,
            prefixes: Vec::new(),
        }
    }

    /// Notes the prefix of a row of the block whose entry comes next.
    pub(crate) fn note(&mut self, prefix: u64) {
        if self.filtered && self.prefixes.last() != Some(&prefix) {
            self.prefixes.push(prefix);
        }
    }

    pub(crate) fn push(&mut self, entry: &Entry) -> Result<(), SegmentError> {
        let offset = u32::try_from(entry.offset / 8).map_err(|_| SegmentError::SegmentTooLarge)?;
        // A block holds at most 16 MiB; that many units do not fit by one.
        let units = entry.len.div_ceil(256).min(usize::from(u16::MAX)) as u16;
        self.entries.extend_from_slice(&entry.first_prefix.to_le_bytes());
        self.entries.extend_from_slice(&offset.to_le_bytes());
        self.entries.extend_from_slice(&units.to_le_bytes());
        self.entries.extend_from_slice(&(entry.rows as u16).to_le_bytes());
        if self.ordered {
            self.entries.extend_from_slice(&entry.max_order.to_le_bytes());
        }
        self.in_page += 1;
        if self.in_page == PAGE {
            self.close_page();
        }
        Ok(())
    }

    fn close_page(&mut self) {
        let filter_at = self.filters.len();
        if self.filtered {
            filter::write(&self.prefixes, &mut self.filters);
        }
        let start = self.pages.len();
        self.pages.extend_from_slice(&[0; 4]);
        for word in [self.in_page, filter_at, self.filters.len() - filter_at] {
            self.pages.extend_from_slice(&(word as u32).to_le_bytes());
        }
        self.pages.append(&mut self.entries);
        let crc = crc32c::crc32c(&self.pages[start + 4..]);
        self.pages[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        self.prefixes.clear();
        self.in_page = 0;
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.capacity()
            + self.filters.capacity()
            + self.entries.capacity()
            + self.prefixes.capacity() * 8
    }

    /// The filter parts and the index pages.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        if self.in_page > 0 {
            self.close_page();
        }
        (self.filters, self.pages)
    }
}

/// The index pages of a segment, checked.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pages: Bytes,
    ordered: bool,
    blocks: u32,
    /// Where blocks end.
    end: u64,
}

impl Index {
    pub(crate) fn open(
        pages: Bytes,
        segment: u128,
        ordered: bool,
        blocks: u32,
        end: u64,
    ) -> Result<Self, SegmentError> {
        let index = Self { pages, ordered, blocks, end };
        let mut left = blocks as usize;
        for page in 0..index.pages() {
            let entries = left.min(PAGE);
            let start = index.page_at(page);
            let stop = start + HEADER + entries * index.entry_len();
            let damaged = |problem| {
                let place = Place::IndexPage(page as u32);
                Err(SegmentError::Damaged { segment, place, problem })
            };
            let Some(bytes) = index.pages.get(start..stop) else {
                return damaged("it ends early");
            };
            if crc32c::crc32c(&bytes[4..]) != u32_at(bytes, 0) {
                return damaged("its checksum differs");
            }
            if u32_at(bytes, 4) as usize != entries {
                return damaged("it has another number of entries");
            }
            left -= entries;
        }
        Ok(index)
    }

    fn entry_len(&self) -> usize {
        if self.ordered { ORDERED_ENTRY } else { ENTRY }
    }

    fn page_at(&self, page: usize) -> usize {
        page * (HEADER + PAGE * self.entry_len())
    }

    pub(crate) fn pages(&self) -> usize {
        (self.blocks as usize).div_ceil(PAGE)
    }

    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    pub(crate) fn page_of(block: u32) -> usize {
        block as usize / PAGE
    }

    fn entry_at(&self, block: u32) -> usize {
        let block = block as usize;
        self.page_at(block / PAGE) + HEADER + block % PAGE * self.entry_len()
    }

    pub(crate) fn first_prefix(&self, block: u32) -> u64 {
        u64_at(&self.pages, self.entry_at(block))
    }

    pub(crate) fn rows(&self, block: u32) -> usize {
        usize::from(u16_at(&self.pages, self.entry_at(block) + 14))
    }

    /// Nothing in the block is above this; everything without an order.
    pub(crate) fn max_order(&self, block: u32) -> u64 {
        if self.ordered { u64_at(&self.pages, self.entry_at(block) + 16) } else { u64::MAX }
    }

    /// Where a block lies; its length up to where the next one begins.
    pub(crate) fn block_ref(&self, block: u32) -> BlockRef {
        let offset = |block| u64::from(u32_at(&self.pages, self.entry_at(block) + 8)) * 8;
        let start = offset(block);
        let end = if block + 1 < self.blocks { offset(block + 1) } else { self.end };
        BlockRef { number: block, offset: start, len: end.saturating_sub(start) as u32 }
    }

    /// Where the filter part of a page lies, counted from the first one.
    pub(crate) fn filter(&self, page: usize) -> std::ops::Range<usize> {
        let at = self.page_at(page);
        let start = u32_at(&self.pages, at + 8) as usize;
        start..start + u32_at(&self.pages, at + 12) as usize
    }

    /// The first block that may hold something at or after the prefix.
    pub(crate) fn first_for(&self, prefix: u64) -> u32 {
        // The block before the first that begins at the prefix may end with it.
        self.partition(|first| first < prefix).saturating_sub(1)
    }

    /// One past the last block that may hold something at or before the prefix.
    pub(crate) fn end_for(&self, prefix: u64) -> u32 {
        self.partition(|first| first <= prefix)
    }

    fn partition(&self, before: impl Fn(u64) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low.midpoint(high);
            if before(self.first_prefix(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len()
    }
}
