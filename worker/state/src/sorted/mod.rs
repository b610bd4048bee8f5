//! Sorted segments: immutable pieces of a table, made to be read one block at a time.
//!
//! What enters: the rows of one table that a checkpoint froze, sorted. What leaves: bytes that
//! answer a question about one key with one read of about 8 KiB, without decoding the block.
//!
//! Rows are sorted by (prefix, key, order): the [`prefix`] is the key group and 48 bits of the
//! key's canonical hash, the key its canonical bytes, the order the order-preserving bytes of
//! its order columns ([`order`]); empty in a table without order. Fences and the search within a
//! block compare prefixes, plain numbers. Nobody scans across keys, so keys need no order of
//! their own.
//!
//! A **tombstone** says that the row with its key and order is gone; one with an empty order
//! that everything of its key in *older* segments is gone. Rows of the same segment are newer
//! than that.
//!
//! Little-endian, every section at a multiple of 8:
//!
//! ```text
//! blocks │ filter parts │ index pages │ meta (JSON) │ footer (160 bytes)
//! ```
//!
//! | block bytes | field |
//! |---|---|
//! | 0–3 | CRC-32C of all after it |
//! | 4–7 | length of the block |
//! | 8–9 | rows, 1 to 4,096 |
//! | 10 | flags: 1 there are tombstones |
//! | 11 | columns |
//! | 12–15 | length when unpacked; 0: it is not packed, the only way in this version |
//! | 16–23 | prefix of the first row |
//! | 24–27, 28–31 | low bits of the segment's id; number of the block: a right block in a wrong place is found |
//! | 32… | per column 8 bytes: kind, width, whether NULLs, 0, offset as u32 |
//! | then | the tombstones' bitmap if flagged, then each column: validity bitmap if it has NULLs, values |
//!
//! The columns are: prefix, key, order if the table has one, stamp if rows expire, then the
//! values. A column of numbers is a base and, per row, the distance to it in 0, 1, 2, 4, 8 or 16
//! bytes; a column of bytes is one length for all, or ends as u16 or u32, then the bytes.
//!
//! Every block, index page, filter part, the meta and the footer have a checksum; damage is an
//! error that names the segment and the place, never a wrong row.

mod block;
mod block_builder;
mod cursor;
mod filter;
mod footer;
mod index;
mod meta;
pub mod order;
mod reader;
mod strings;
mod writer;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_protocol::{Attempt, KeyGroup, Term};

pub use block::Block;
pub use cursor::Cursor;
pub use footer::{Footer, OrderSpan};
pub use meta::Meta;
pub use reader::{BlockRef, SegmentReader, Stored};
pub use strings::Strings;
pub use writer::{Header, SegmentWriter};
pub(crate) use writer::{order_time, order_word};

/// When rows were frozen. Ages order the segments of a table: what is younger counts.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Age {
    /// The term in which they were frozen.
    pub term: Term,
    /// The attempt that froze them.
    pub attempt: Attempt,
}

impl Age {
    /// Before everything: a segment that reaches down to it is complete by itself.
    pub const ZERO: Self = Self { term: Term(0), attempt: Attempt(0) };
}

/// The ages that a segment speaks for, both ends included.
///
/// A delta has one age; a merge of neighbours reaches from the oldest to the youngest. For one
/// key group the segments that count have ages that do not overlap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Ages {
    /// The oldest.
    pub lo: Age,
    /// The youngest.
    pub hi: Age,
}

impl Ages {
    /// One age alone.
    #[must_use]
    pub fn at(age: Age) -> Self {
        Self { lo: age, hi: age }
    }

    /// Whether whoever speaks for these ages speaks for all of those.
    #[must_use]
    pub fn contain(self, others: Self) -> bool {
        self.lo <= others.lo && others.hi <= self.hi
    }

    /// Whether nothing older can exist, so that tombstones have nothing left to hide.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.lo == Age::ZERO
    }
}

/// Where a key sorts: its group above 48 bits of its canonical hash.
#[must_use]
#[inline]
pub fn prefix(group: KeyGroup, hash: u64) -> u64 {
    u64::from(group.0) << 48 | hash >> 16
}

/// The key group of a prefix.
#[must_use]
#[inline]
pub fn group_of(prefix: u64) -> KeyGroup {
    KeyGroup((prefix >> 48) as u16)
}

/// One value of a row as it is stored.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A number, date, time or boolean: integers extended to 64 bits, floats as the bits of a
    /// double, so that a wider type of the same kind reads the same word.
    Word(u64),
    /// A DECIMAL without its point.
    Wide(i128),
    /// A string or bytes.
    Bytes(&'a [u8]),
}

/// One row of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// See [`prefix`].
    pub prefix: u64,
    /// Canonical bytes of the key.
    pub key: &'a [u8],
    /// Order-preserving bytes of the order columns; empty without order.
    pub order: &'a [u8],
    /// When it was written, in seconds; 0 where rows do not expire.
    pub stamp: u32,
    /// Whether it says that the row is gone; then it has no values.
    pub tombstone: bool,
    /// A value per column.
    pub values: &'a [Value<'a>],
}

impl<'a> Row<'a> {
    /// What rows are sorted by.
    #[must_use]
    #[inline]
    pub fn place(&self) -> (u64, &'a [u8], &'a [u8]) {
        (self.prefix, self.key, self.order)
    }
}

/// Bytes of a segment, wherever they lie.
pub trait Blocks {
    /// Reads exactly `len` bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, offset: u64, len: u32) -> Result<Bytes, ReadError>;
}

/// A stretch of a segment's bytes, for whoever reads no others.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Where it begins in the segment.
    pub offset: u64,
    /// What is there.
    pub bytes: Bytes,
}

impl Blocks for Stretch {
    fn read(&self, offset: u64, len: u32) -> Result<Bytes, ReadError> {
        match offset.checked_sub(self.offset) {
            Some(offset) => self.bytes.read(offset, len),
            None => Err(ReadError(format!(
                "byte {offset} of a segment was asked for, what was read begins at {}",
                self.offset
            ))),
        }
    }
}

impl Blocks for Bytes {
    fn read(&self, offset: u64, len: u32) -> Result<Bytes, ReadError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(len as usize);
        if end > self.len() {
            return Err(ReadError(format!(
                "bytes {start} to {end} of a segment of {} were asked for",
                self.len()
            )));
        }
        Ok(self.slice(start..end))
    }
}

/// Bytes that could not be read, in the words of whoever reads them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// A part of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A block of rows, by number.
    Block(u32),
    /// A page of the index.
    IndexPage(u32),
    /// The filter of an index page.
    Filter(u32),
    /// Schema, clock and bounds.
    Meta,
    /// The end of the segment.
    Footer,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(n) => write!(f, "block {n}"),
            Self::IndexPage(n) => write!(f, "index page {n}"),
            Self::Filter(n) => write!(f, "filter {n}"),
            Self::Meta => f.write_str("the meta section"),
            Self::Footer => f.write_str("the footer"),
        }
    }
}

/// What can go wrong with a segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Bytes that are not what was written there.
    #[error("{place} of segment {segment:032x} is damaged: {problem}")]
    Damaged {
        /// The segment's id; 0 if that could not be read.
        segment: u128,
        /// Where.
        place: Place,
        /// What is wrong.
        problem: &'static str,
    },
    /// A segment of a version that is newer than this program.
    #[error(
        "segment {segment:032x} is of format {format}, this version reads up to {}; start the version that wrote it, or a newer one",
        footer::FORMAT
    )]
    Format {
        /// The segment's id.
        segment: u128,
        /// Its format.
        format: u16,
    },
    /// A row that no block can hold.
    #[error(
        "a row of {bytes} bytes does not fit in a block of {} bytes; its key is {key}",
        block_builder::LARGEST
    )]
    RowTooLarge {
        /// What the row needs.
        bytes: usize,
        /// The canonical key in hexadecimal, cut after 64 bytes.
        key: String,
    },
    /// A segment that would be larger than its index can address; merges cut long before.
    #[error("a segment cannot be larger than 32 GiB; cut it")]
    SegmentTooLarge,
    /// Rows that do not come in order, which is a bug of the caller.
    #[error("rows came out of order: a segment is written sorted by prefix, key and order")]
    Unsorted,
    /// Bytes that cannot be read.
    #[error("segment {segment:032x}: {error}")]
    Read {
        /// The segment's id; 0 if that could not be read.
        segment: u128,
        /// Why.
        error: ReadError,
    },
}
