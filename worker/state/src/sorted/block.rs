//! Reading a block: values are found by arithmetic, nothing is decoded beforehand.

use std::cmp::Ordering;

use bytes::Bytes;

use super::block_builder::{BYTES, COLUMN, HAS_TOMBSTONES, HEADER, MOST_ROWS, WIDES, WORDS};
use super::filter::u32_at;
use super::{Place, Row, SegmentError, Value};

const PREFIX: usize = 0;
const KEY: usize = 1;
const ORDER: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Column {
    kind: u8,
    width: u8,
    /// Where the validity bitmap begins, if there is one.
    nulls: Option<u32>,
    /// Where base, length or ends begin.
    at: u32,
}

/// A block whose checksum, place and layout have been checked.
#[derive(Clone, Debug)]
pub struct Block {
    bytes: Bytes,
    rows: usize,
    tombstones: Option<usize>,
    ordered: bool,
    stamped: bool,
    columns: Vec<Column>,
}

/// What a block must be to be the one that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) segment: u128,
    pub(crate) number: u32,
    pub(crate) ordered: bool,
    pub(crate) stamped: bool,
    pub(crate) values: usize,
}

impl Block {
    /// Checks that `bytes` begin with the block that is expected; what follows it is ignored.
    pub(crate) fn open(bytes: Bytes, expected: Expected) -> Result<Self, SegmentError> {
        Self::parse(bytes, expected).map_err(|problem| SegmentError::Damaged {
            segment: expected.segment,
            place: Place::Block(expected.number),
            problem,
        })
    }

    fn parse(bytes: Bytes, expected: Expected) -> Result<Self, &'static str> {
        if bytes.len() < HEADER {
            return Err("it ends early");
        }
        let len = u32_at(&bytes, 4) as usize;
        if len < HEADER || len > bytes.len() {
            return Err("it ends early");
        }
        let bytes = bytes.slice(..len);
        if crc32c::crc32c(&bytes[4..]) != u32_at(&bytes, 0) {
            return Err("its checksum differs");
        }
        if u32_at(&bytes, 24) != expected.segment as u32 || u32_at(&bytes, 28) != expected.number {
            return Err("it is another block than the one that belongs there");
        }
        let rows = usize::from(u16_at(&bytes, 8));
        let lead = 2 + usize::from(expected.ordered) + usize::from(expected.stamped);
        let count = usize::from(bytes[11]);
        let layout = "its layout is not that of the segment's schema";
        if rows == 0 || rows > MOST_ROWS || count != lead + expected.values {
            return Err(layout);
        }
        let bitmap = rows.div_ceil(8);
        let after_heads = HEADER + count * COLUMN;
        let tombstones = (bytes[10] & HAS_TOMBSTONES != 0).then_some(after_heads);
        if after_heads + bitmap > len {
            return Err(layout);
        }
        let mut columns = Vec::with_capacity(count);
        for head in bytes[HEADER..after_heads].chunks_exact(COLUMN) {
            let start = u32_at(head, 4);
            let nulls = (head[2] != 0).then_some(start);
            let at = start as usize + nulls.map_or(0, |_| bitmap);
            let column = Column { kind: head[0], width: head[1], nulls, at: at as u32 };
            if at + column.least(rows) > len {
                return Err(layout);
            }
            columns.push(column);
        }
        let is_lead = columns[PREFIX].kind == WORDS && columns[KEY].kind == BYTES;
        if !is_lead || (expected.ordered && columns[ORDER].kind != BYTES) {
            return Err(layout);
        }
        let Expected { ordered, stamped, .. } = expected;
        Ok(Self { bytes, rows, tombstones, ordered, stamped, columns })
    }

    /// Its number in the segment.
    #[must_use]
    pub fn number(&self) -> u32 {
        u32_at(&self.bytes, 28)
    }

    /// Number of rows, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The prefix of a row.
    #[must_use]
    #[inline]
    pub fn prefix(&self, row: usize) -> u64 {
        self.word(&self.columns[PREFIX], row)
    }

    /// The canonical key of a row.
    #[must_use]
    #[inline]
    pub fn key(&self, row: usize) -> &[u8] {
        self.slice(&self.columns[KEY], row)
    }

    /// The encoded order of a row; empty in a table without one.
    #[must_use]
    #[inline]
    pub fn order(&self, row: usize) -> &[u8] {
        if self.ordered { self.slice(&self.columns[ORDER], row) } else { &[] }
    }

    /// When a row was written, in seconds; 0 where rows do not expire.
    #[must_use]
    pub fn stamp(&self, row: usize) -> u32 {
        let at = 2 + usize::from(self.ordered);
        if self.stamped { self.word(&self.columns[at], row) as u32 } else { 0 }
    }

    /// Whether a row is a tombstone.
    #[must_use]
    pub fn is_tombstone(&self, row: usize) -> bool {
        self.tombstones.is_some_and(|at| bit(&self.bytes[at..], row))
    }

    /// A value of a row. A tombstone's means nothing.
    #[must_use]
    pub fn value(&self, row: usize, column: usize) -> Value<'_> {
        let lead = 2 + usize::from(self.ordered) + usize::from(self.stamped);
        let column = &self.columns[lead + column];
        if column.nulls.is_some_and(|at| bit(&self.bytes[at as usize..], row)) {
            return Value::Null;
        }
        match column.kind {
            WORDS => Value::Word(self.word(column, row)),
            WIDES => Value::Wide(self.wide(column, row)),
            _ => Value::Bytes(self.slice(column, row)),
        }
    }

    /// Number of columns of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.columns.len() - 2 - usize::from(self.ordered) - usize::from(self.stamped)
    }

    /// A row; its values go to `values`.
    pub fn row<'a>(&'a self, row: usize, values: &'a mut Vec<Value<'a>>) -> Row<'a> {
        values.clear();
        let tombstone = self.is_tombstone(row);
        if !tombstone {
            values.extend((0..self.values()).map(|column| self.value(row, column)));
        }
        Row {
            prefix: self.prefix(row),
            key: self.key(row),
            order: self.order(row),
            stamp: self.stamp(row),
            tombstone,
            values,
        }
    }

    /// The first row that is not before (prefix, key, order); [`Block::rows`] if all are.
    #[must_use]
    pub fn lower_bound(&self, prefix: u64, key: &[u8], order: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            if self.compare(middle, prefix, key, order) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// How a row compares with (prefix, key, order).
    #[must_use]
    #[inline]
    pub fn compare(&self, row: usize, prefix: u64, key: &[u8], order: &[u8]) -> Ordering {
        self.prefix(row)
            .cmp(&prefix)
            .then_with(|| self.key(row).cmp(key))
            .then_with(|| self.order(row).cmp(order))
    }

    #[inline]
    fn word(&self, column: &Column, row: usize) -> u64 {
        let at = column.at as usize;
        let base = u64_at(&self.bytes, at);
        let values = &self.bytes[at + 8..];
        base.wrapping_add(match column.width {
            0 => 0,
            1 => u64::from(values[row]),
            2 => u64::from(u16_at(values, row * 2)),
            4 => u64::from(u32_at(values, row * 4)),
            _ => u64_at(values, row * 8),
        })
    }

    fn wide(&self, column: &Column, row: usize) -> i128 {
        let (at, width) = (column.at as usize, usize::from(column.width));
        let mut base = [0; 16];
        base.copy_from_slice(&self.bytes[at..at + 16]);
        let mut distance = [0; 16];
        let start = at + 16 + row * width;
        distance[..width].copy_from_slice(&self.bytes[start..start + width]);
        i128::from_le_bytes(base).wrapping_add(i128::from_le_bytes(distance))
    }

    #[inline]
    fn slice(&self, column: &Column, row: usize) -> &[u8] {
        let head = &self.bytes[column.at as usize..];
        let (data, start, end) = match column.width {
            0 => {
                let len = u32_at(head, 0) as usize;
                (&head[4..], row * len, (row + 1) * len)
            }
            2 => {
                let end = |row: usize| usize::from(u16_at(head, row * 2));
                (&head[self.rows * 2..], if row == 0 { 0 } else { end(row - 1) }, end(row))
            }
            _ => {
                let end = |row: usize| u32_at(head, row * 4) as usize;
                (&head[self.rows * 4..], if row == 0 { 0 } else { end(row - 1) }, end(row))
            }
        };
        // What the writer wrote is always there; a writer's bug must not stop a worker.
        data.get(start..end).unwrap_or_default()
    }
}

impl Column {
    /// Bytes that the column takes at least; those of strings' contents are looked at on read.
    fn least(&self, rows: usize) -> usize {
        let width = usize::from(self.width);
        match (self.kind, width) {
            (WORDS, 0 | 1 | 2 | 4 | 8) => 8 + rows * width,
            (WIDES, 0 | 1 | 2 | 4 | 8 | 16) => 16 + rows * width,
            (BYTES, 0) => 4,
            (BYTES, 2 | 4) => rows * width,
            _ => usize::MAX / 2,
        }
    }
}

#[inline]
fn bit(bitmap: &[u8], row: usize) -> bool {
    bitmap[row / 8] >> (row % 8) & 1 == 1
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
