//! JSON objects from columns, as Flink's format writes them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::JsonOptions;
use crate::formats::cell::{Cells, Nested, Style};
use crate::formats::{EncodeError, RecordEncoder};

/// Encodes rows as JSON objects, every column in the schema's order, NULL as `null`.
pub struct JsonEncoder {
    schema: SchemaRef,
    style: Style,
    /// `{"name":` or `,"name":` per column.
    names: Vec<Vec<u8>>,
    ignore_nulls: bool,
}

impl JsonEncoder {
    /// An encoder of the columns of `schema`.
    ///
    /// # Errors
    /// When a column's type cannot be written as JSON; the message names it.
    pub fn new(schema: SchemaRef, options: JsonOptions) -> Result<Self, String> {
        let empty = RecordBatch::new_empty(schema.clone());
        for (field, column) in schema.fields().iter().zip(empty.columns()) {
            Cells::new(field, column.as_ref())?;
        }
        let names = member_names(schema.fields().iter().map(|field| field.name().as_str()));
        let style = Style {
            timestamps: options.timestamp_format,
            plain_decimals: options.decimal_as_plain_number,
        };
        Ok(Self { schema, style, names, ignore_nulls: options.ignore_null_fields })
    }
}

impl RecordEncoder for JsonEncoder {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let fields = self.schema.fields().iter();
        let cells = fields
            .zip(batch.columns())
            .map(|(field, column)| Cells::new(field, column.as_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|message| EncodeError { message })?;
        for row in 0..batch.num_rows() {
            object(self.names.iter().zip(&cells), row, self.style, self.ignore_nulls, out);
            end(out);
        }
        Ok(())
    }
}

/// Names with their punctuation, the first with the brace.
pub(in crate::formats) fn member_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
    let member = |(number, name): (usize, &str)| {
        let mut text = vec![if number == 0 { b'{' } else { b',' }];
        quote(name.as_bytes(), &mut text);
        text.push(b':');
        text
    };
    names.enumerate().map(member).collect()
}

fn object<'a>(
    members: impl Iterator<Item = (&'a Vec<u8>, &'a Cells<'a>)>,
    row: usize,
    style: Style,
    ignore_nulls: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    for (name, cells) in members {
        if ignore_nulls && cells.is_null(row) {
            continue;
        }
        let first = out.len();
        out.extend_from_slice(name);
        // The name was made for its place among all members; some before it may be left out.
        if let Some(mark) = out.get_mut(first) {
            *mark = if first == start { b'{' } else { b',' };
        }
        value(cells, row, style, ignore_nulls, out);
    }
    if out.len() == start {
        out.push(b'{');
    }
    out.push(b'}');
}

fn value(cells: &Cells<'_>, row: usize, style: Style, ignore_nulls: bool, out: &mut Vec<u8>) {
    if cells.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match cells.nested() {
        None if cells.is_quoted() => {
            if let Some(text) = cells.text(row) {
                quote(text, out);
                return;
            }
            out.push(b'"');
            cells.write(row, style, out);
            out.push(b'"');
        }
        None => {
            let start = out.len();
            cells.write(row, style, out);
            // JSON has no number for these; Jackson writes them as strings.
            if matches!(out.get(start..), Some(b"NaN" | b"Infinity" | b"-Infinity")) {
                out.insert(start, b'"');
                out.push(b'"');
            }
        }
        Some(Nested::Row(children)) => {
            let members = children.iter().map(|(name, child)| (name, child));
            object(members, row, style, ignore_nulls, out);
        }
        Some(Nested::List(list, items)) => {
            let offsets = list.value_offsets();
            out.push(b'[');
            for item in range(offsets, row) {
                value(items, item, style, ignore_nulls, out);
                out.push(b',');
            }
            close(out, b'[', b']');
        }
        Some(Nested::Map(map, keys, values)) => {
            out.push(b'{');
            for entry in range(map.value_offsets(), row) {
                quote(keys.text(entry).unwrap_or_default(), out);
                out.push(b':');
                value(values, entry, style, ignore_nulls, out);
                out.push(b',');
            }
            close(out, b'{', b'}');
        }
    }
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let offset =
        |row: usize| offsets.get(row).and_then(|&offset| usize::try_from(offset).ok()).unwrap_or(0);
    offset(row)..offset(row + 1)
}

/// Puts the bracket in place of the last comma, or behind the opening bracket.
fn close(out: &mut Vec<u8>, open: u8, close: u8) {
    match out.last_mut() {
        Some(last) if *last != open => *last = close,
        _ => out.push(close),
    }
}

/// Appends a string with quotes and escapes.
pub(in crate::formats) fn quote(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    let mut plain = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        let short = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&text[plain..]);
    out.push(b'"');
}
