//! Building a block, row by row. The layout is drawn in [`super`].

use super::{Row, SegmentError, Value};
use crate::table::CellKind;

/// A block is closed at the row that passes this.
pub(crate) const TARGET: usize = 8 * 1024;
/// What a block may be at most; a row alone may be that large.
pub(crate) const LARGEST: usize = 16 << 20;
/// Rows of a block at most.
pub(crate) const MOST_ROWS: usize = 4_096;
pub(crate) const HEADER: usize = 32;
pub(crate) const COLUMN: usize = 8;
pub(crate) const HAS_TOMBSTONES: u8 = 1;

/// How a column's values lie in a block.
pub(crate) const WORDS: u8 = 1;
pub(crate) const WIDES: u8 = 2;
pub(crate) const BYTES: u8 = 3;

enum Values {
    Words { values: Vec<u64>, min: i64, max: i64 },
    Wides { values: Vec<i128>, min: i128, max: i128 },
    Bytes { data: Vec<u8>, ends: Vec<u32>, same: Option<u32> },
}

struct Column {
    values: Values,
    /// Rows that are NULL.
    nulls: Vec<u16>,
}

/// Collects the rows of one block.
pub(crate) struct BlockBuilder {
    columns: Vec<Column>,
    tombstones: Vec<u16>,
    ordered: bool,
    stamped: bool,
    rows: usize,
    first_prefix: u64,
    /// Bytes of the rows if every number took its full width: never less than what they need.
    most: usize,
}

impl BlockBuilder {
    pub(crate) fn new(ordered: bool, stamped: bool, kinds: &[CellKind]) -> Self {
        let mut columns = vec![Column::words(), Column::bytes()];
        if ordered {
            columns.push(Column::bytes());
        }
        if stamped {
            columns.push(Column::words());
        }
        columns.extend(kinds.iter().map(|kind| match kind {
            CellKind::Wide => Column::wides(),
            CellKind::Bytes => Column::bytes(),
            CellKind::Bool | CellKind::Int | CellKind::Long | CellKind::Double => Column::words(),
        }));
        Self {
            columns,
            tombstones: Vec::new(),
            ordered,
            stamped,
            rows: 0,
            first_prefix: 0,
            most: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn first_prefix(&self) -> u64 {
        self.first_prefix
    }

    /// Whether the block has reached its size.
    pub(crate) fn is_full(&self) -> bool {
        // The exact size is asked for only once it can matter: it costs a look at each column.
        self.rows >= MOST_ROWS || (self.most >= TARGET && self.size() >= TARGET)
    }

    /// Bytes that a row needs at most.
    pub(crate) fn bytes_of(row: &Row<'_>) -> usize {
        let values = row.values.iter().map(|value| match value {
            Value::Null => 1,
            Value::Word(_) => 8,
            Value::Wide(_) => 16,
            Value::Bytes(bytes) => 4 + bytes.len(),
        });
        8 + 8 + row.key.len() + row.order.len() + 4 + values.sum::<usize>()
    }

    pub(crate) fn push(&mut self, row: &Row<'_>, bytes: usize) -> Result<(), SegmentError> {
        let fixed = HEADER + self.columns.len() * (COLUMN + 64);
        if bytes + fixed > LARGEST {
            let hex = row.key.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
            return Err(SegmentError::RowTooLarge { bytes, key: hex });
        }
        if self.rows == 0 {
            self.first_prefix = row.prefix;
        }
        if row.tombstone {
            self.tombstones.push(self.rows as u16);
        }
        let mut columns = self.columns.iter_mut();
        let mut push = |value| {
            if let Some(column) = columns.next() {
                column.push(self.rows, value);
            }
        };
        push(Value::Word(row.prefix));
        push(Value::Bytes(row.key));
        if self.ordered {
            push(Value::Bytes(row.order));
        }
        if self.stamped {
            push(Value::Word(u64::from(row.stamp)));
        }
        row.values.iter().for_each(|&value| push(value));
        // A tombstone's values are never looked at: what stands there only has to be small.
        columns.for_each(Column::repeat);
        self.rows += 1;
        self.most += bytes;
        Ok(())
    }

    fn bitmap(&self) -> usize {
        self.rows.div_ceil(8)
    }

    fn size(&self) -> usize {
        let columns = self.columns.iter().map(|column| {
            let nulls = if column.nulls.is_empty() { 0 } else { self.bitmap() };
            COLUMN + nulls + column.values.size(self.rows)
        });
        let tombstones = if self.tombstones.is_empty() { 0 } else { self.bitmap() };
        HEADER + tombstones + columns.sum::<usize>()
    }

    /// Appends the block and starts an empty one.
    pub(crate) fn finish(&mut self, segment: u128, number: u32, out: &mut Vec<u8>) {
        let start = out.len();
        let flags = if self.tombstones.is_empty() { 0 } else { HAS_TOMBSTONES };
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&(self.rows as u16).to_le_bytes());
        out.extend_from_slice(&[flags, self.columns.len() as u8]);
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&self.first_prefix.to_le_bytes());
        out.extend_from_slice(&(segment as u32).to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        let heads = out.len();
        out.resize(heads + self.columns.len() * COLUMN, 0);
        if !self.tombstones.is_empty() {
            put_bitmap(&self.tombstones, self.rows, out);
        }
        for (i, column) in self.columns.iter_mut().enumerate() {
            let offset = (out.len() - start) as u32;
            if !column.nulls.is_empty() {
                put_bitmap(&column.nulls, self.rows, out);
            }
            let (kind, width) = column.values.write(out);
            let head = &mut out[heads + i * COLUMN..heads + (i + 1) * COLUMN];
            head[..3].copy_from_slice(&[kind, width, u8::from(!column.nulls.is_empty())]);
            head[4..].copy_from_slice(&offset.to_le_bytes());
            column.nulls.clear();
        }
        let len = (out.len() - start) as u32;
        out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        self.tombstones.clear();
        (self.rows, self.most) = (0, 0);
    }
}

fn put_bitmap(set: &[u16], rows: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + rows.div_ceil(8), 0);
    for &row in set {
        out[start + usize::from(row) / 8] |= 1 << (row % 8);
    }
}

impl Column {
    fn words() -> Self {
        let values = Values::Words { values: Vec::new(), min: i64::MAX, max: i64::MIN };
        Self { values, nulls: Vec::new() }
    }

    fn wides() -> Self {
        let values = Values::Wides { values: Vec::new(), min: i128::MAX, max: i128::MIN };
        Self { values, nulls: Vec::new() }
    }

    fn bytes() -> Self {
        Self {
            values: Values::Bytes { data: Vec::new(), ends: Vec::new(), same: None },
            nulls: Vec::new(),
        }
    }

    fn push(&mut self, row: usize, value: Value<'_>) {
        match (&mut self.values, value) {
            (Values::Words { values, min, max }, Value::Word(word)) => {
                values.push(word);
                *min = (*min).min(word as i64);
                *max = (*max).max(word as i64);
            }
            (Values::Wides { values, min, max }, Value::Wide(wide)) => {
                values.push(wide);
                *min = (*min).min(wide);
                *max = (*max).max(wide);
            }
            (Values::Bytes { data, ends, same }, Value::Bytes(bytes)) => {
                data.extend_from_slice(bytes);
                ends.push(data.len() as u32);
                if ends.len() == 1 {
                    *same = Some(bytes.len() as u32);
                } else if *same != Some(bytes.len() as u32) {
                    *same = None;
                }
            }
            // NULL; or a value of another kind, which the caller's types rule out.
            _ => {
                self.nulls.push(row as u16);
                self.repeat();
            }
        }
    }

    /// Fills a row whose value nobody looks at with one that costs nothing.
    fn repeat(&mut self) {
        match &mut self.values {
            Values::Words { values, .. } => values.push(values.last().copied().unwrap_or_default()),
            Values::Wides { values, .. } => values.push(values.last().copied().unwrap_or_default()),
            Values::Bytes { data, ends, same } => {
                ends.push(data.len() as u32);
                *same = same.filter(|&len| len == 0 && ends.len() > 1);
                if ends.len() == 1 {
                    *same = Some(0);
                }
            }
        }
    }
}

/// Bytes per row for distances up to `span`.
fn width_of(span: u128) -> usize {
    match span {
        0 => 0,
        1..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        0x1_0000_0000..=0xFFFF_FFFF_FFFF_FFFF => 8,
        _ => 16,
    }
}

impl Values {
    /// Base and width of the distances. Rows that are filled up may lie outside of what was
    /// pushed only if nothing was: then base and width are 0 and so is the filling.
    fn word_span(min: i64, max: i64) -> (i64, usize) {
        if min > max { (0, 0) } else { (min, width_of(u128::from(max.abs_diff(min)))) }
    }

    fn wide_span(min: i128, max: i128) -> (i128, usize) {
        if min > max { (0, 0) } else { (min, width_of(max.abs_diff(min))) }
    }

    fn size(&self, rows: usize) -> usize {
        match self {
            Self::Words { min, max, .. } => 8 + rows * Self::word_span(*min, *max).1,
            Self::Wides { min, max, .. } => 16 + rows * Self::wide_span(*min, *max).1,
            Self::Bytes { data, same, .. } => {
                data.len() + if same.is_some() { 4 } else { 2 * rows }
            }
        }
    }

    /// Appends the values and gives kind and width; keeps nothing but the memory.
    fn write(&mut self, out: &mut Vec<u8>) -> (u8, u8) {
        match self {
            Self::Words { values, min, max } => {
                let (base, width) = Self::word_span(*min, *max);
                out.extend_from_slice(&base.to_le_bytes());
                let distances = values.iter().map(|&v| v.wrapping_sub(base as u64));
                match width {
                    0 => {}
                    1 => out.extend(distances.map(|d| d as u8)),
                    2 => distances.for_each(|d| out.extend_from_slice(&(d as u16).to_le_bytes())),
                    4 => distances.for_each(|d| out.extend_from_slice(&(d as u32).to_le_bytes())),
                    _ => distances.for_each(|d| out.extend_from_slice(&d.to_le_bytes())),
                }
                values.clear();
                (*min, *max) = (i64::MAX, i64::MIN);
                (WORDS, width as u8)
            }
            Self::Wides { values, min, max } => {
                let (base, width) = Self::wide_span(*min, *max);
                out.extend_from_slice(&base.to_le_bytes());
                for value in values.drain(..) {
                    let distance = value.wrapping_sub(base).to_le_bytes();
                    out.extend_from_slice(&distance[..width]);
                }
                (*min, *max) = (i128::MAX, i128::MIN);
                (WIDES, width as u8)
            }
            Self::Bytes { data, ends, same } => {
                let width = match same {
                    Some(len) => {
                        out.extend_from_slice(&len.to_le_bytes());
                        0
                    }
                    None if data.len() <= usize::from(u16::MAX) => {
                        ends.iter().for_each(|&e| out.extend_from_slice(&(e as u16).to_le_bytes()));
                        2
                    }
                    None => {
                        ends.iter().for_each(|e| out.extend_from_slice(&e.to_le_bytes()));
                        4
                    }
                };
                out.extend_from_slice(data);
                data.clear();
                ends.clear();
                *same = None;
                (BYTES, width)
            }
        }
    }
}
