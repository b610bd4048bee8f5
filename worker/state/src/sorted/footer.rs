//! The last 160 bytes of a segment: what it is and where its sections lie.

use bytes::Bytes;
use weir_protocol::{Attempt, KeyGroupRange, Term};

use super::block::{u16_at, u64_at};
use super::filter::u32_at;
use super::{Age, Ages, Place, SegmentError};

pub(crate) const LEN: usize = 160;
pub(crate) const FORMAT: u16 = 2;
const MAGIC: [u8; 8] = *b"WeirSeg\0";
const ORDERED: u16 = 1;
const STAMPED: u16 = 2;
const FILTERED: u16 = 4;

/// The first eight bytes of the smallest and of the largest encoded order, as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderSpan {
    /// Of the smallest.
    pub min: u64,
    /// Of the largest.
    pub max: u64,
}

/// What a segment says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Footer {
    /// Random, so that no block is taken for one of another segment.
    pub id: u128,
    /// The ages it speaks for.
    pub ages: Ages,
    /// The key groups it speaks for, also where it has no row.
    pub range: KeyGroupRange,
    /// Whether the table has an order.
    pub ordered: bool,
    /// Whether rows have stamps.
    pub stamped: bool,
    /// Whether there are filters.
    pub filtered: bool,
    /// Number of blocks.
    pub blocks: u32,
    /// Number of rows, tombstones among them.
    pub rows: u64,
    /// Number of tombstones.
    pub tombstones: u64,
    /// Orders of the rows that have one.
    pub orders: Option<OrderSpan>,
    /// Stamp of the oldest row, in seconds; 0 without stamps.
    pub min_stamp: u32,
    /// Stamp of the youngest row.
    pub max_stamp: u32,
    /// Where the filter parts begin, which is where blocks end.
    pub filters_at: u64,
    /// Where the index pages begin; with a read from here to the end a segment is opened.
    pub index_at: u64,
    /// Length of the index pages.
    pub index_len: u32,
    /// Length of the meta section, which follows the index.
    pub meta_len: u32,
    /// CRC-32C of the meta section.
    pub meta_crc: u32,
}

impl Footer {
    /// Length of the whole segment in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.index_at + u64::from(self.index_len) + u64::from(self.meta_len) + LEN as u64
    }

    /// Length in bytes of what is read to open the segment: index, meta, footer.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.bytes() - self.index_at
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.ordered, ORDERED)
            | flag(self.stamped, STAMPED)
            | flag(self.filtered, FILTERED);
        out.extend_from_slice(&MAGIC);
        for half in [FORMAT, flags, self.range.start, self.range.end] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        out.extend_from_slice(&self.id.to_le_bytes());
        for age in [self.ages.lo, self.ages.hi] {
            out.extend_from_slice(&age.term.0.to_le_bytes());
            out.extend_from_slice(&age.attempt.0.to_le_bytes());
        }
        // An empty span has its smallest above its largest.
        let orders = self.orders.unwrap_or(OrderSpan { min: 1, max: 0 });
        for word in
            [self.rows, self.tombstones, orders.min, orders.max, self.filters_at, self.index_at]
        {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for word in [
            self.blocks,
            self.min_stamp,
            self.max_stamp,
            self.index_len,
            self.meta_len,
            self.meta_crc,
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.resize(start + LEN - 4, 0);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Reads the footer at the end of `bytes`.
    pub(crate) fn read(bytes: &Bytes) -> Result<Self, SegmentError> {
        let damaged = |segment, problem| {
            Err(SegmentError::Damaged { segment, place: Place::Footer, problem })
        };
        if bytes.len() < LEN {
            return damaged(0, "it ends early");
        }
        let footer = &bytes[bytes.len() - LEN..];
        if footer[..8] != MAGIC {
            return damaged(0, "it is not one of a segment");
        }
        let id = u128::from(u64_at(footer, 16)) | u128::from(u64_at(footer, 24)) << 64;
        if crc32c::crc32c(&footer[..LEN - 4]) != u32_at(footer, LEN - 4) {
            return damaged(id, "its checksum differs");
        }
        let format = u16_at(footer, 8);
        if format != FORMAT {
            return Err(SegmentError::Format { segment: id, format });
        }
        let flags = u16_at(footer, 10);
        let age =
            |at| Age { term: Term(u64_at(footer, at)), attempt: Attempt(u64_at(footer, at + 8)) };
        let (min, max) = (u64_at(footer, 80), u64_at(footer, 88));
        Ok(Self {
            id,
            ages: Ages { lo: age(32), hi: age(48) },
            range: KeyGroupRange { start: u16_at(footer, 12), end: u16_at(footer, 14) },
            ordered: flags & ORDERED != 0,
            stamped: flags & STAMPED != 0,
            filtered: flags & FILTERED != 0,
            rows: u64_at(footer, 64),
            tombstones: u64_at(footer, 72),
            orders: (min <= max).then_some(OrderSpan { min, max }),
            filters_at: u64_at(footer, 96),
            index_at: u64_at(footer, 104),
            blocks: u32_at(footer, 112),
            min_stamp: u32_at(footer, 116),
            max_stamp: u32_at(footer, 120),
            index_len: u32_at(footer, 124),
            meta_len: u32_at(footer, 128),
            meta_crc: u32_at(footer, 132),
        })
    }
}
