//! Columns to CSV records, quoted as Flink's format does.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{CsvOptions, check};
use crate::formats::cell::{Cells, Nested, Style};
use crate::formats::{EncodeError, RecordEncoder};

/// Jackson looks for characters that need quotes only in strings up to this length.
const LOOKED_AT: usize = 24;

/// Encodes rows as CSV records.
pub struct CsvEncoder {
    schema: SchemaRef,
    options: CsvOptions,
    /// Bytes below need quotes.
    safe: u8,
}

impl CsvEncoder {
    /// An encoder of the columns of `schema`.
    ///
    /// # Errors
    /// When a column's type cannot be written as CSV; the message names it.
    pub fn new(schema: SchemaRef, options: CsvOptions) -> Result<Self, String> {
        let empty = RecordBatch::new_empty(schema.clone());
        for (field, column) in schema.fields().iter().zip(empty.columns()) {
            check(field)?;
            Cells::new(field, column.as_ref())?;
        }
        let special = [Some(options.delimiter), options.quote, options.escape, Some(b'\r')];
        let safe = special.into_iter().flatten().max().map_or(0, |byte| byte.saturating_add(1));
        Ok(Self { schema, options, safe })
    }

    /// Appends a value that is not NULL, with delimiters between its parts.
    fn write(&self, cells: &Cells<'_>, row: usize, style: Style, out: &mut Vec<u8>) {
        let mut number = 0;
        let mut part = |cells: &Cells<'_>, row: usize| {
            if number > 0 {
                out.extend_from_slice(self.options.elements.as_bytes());
            }
            number += 1;
            if cells.is_null(row) {
                out.extend_from_slice(self.null());
            } else {
                cells.write(row, style, out);
            }
        };
        match cells.nested() {
            Some(Nested::Row(fields)) => fields.iter().for_each(|(_, cells)| part(cells, row)),
            Some(Nested::List(list, items)) => {
                let offsets = list.value_offsets();
                (offsets[row]..offsets[row + 1]).for_each(|item| part(items, item as usize));
            }
            // A MAP was refused.
            Some(Nested::Map(..)) | None => cells.write(row, style, out),
        }
    }

    fn null(&self) -> &[u8] {
        self.options.null_literal.as_deref().unwrap_or_default().as_bytes()
    }

    /// Puts quotes around the text from `start` on where it needs them; `false` where it does
    /// and quotes are off.
    fn protect(&self, out: &mut Vec<u8>, start: usize, first: bool) -> bool {
        let text = out.get(start..).unwrap_or_default();
        let Some(quote) = self.options.quote else {
            let special = |&b: &u8| {
                b == self.options.delimiter
                    || b == b'\n'
                    || b == b'\r'
                    || Some(b) == self.options.escape
            };
            return !text.iter().any(special);
        };
        let comment = first && text.first() == Some(&b'#');
        let escape = self.options.escape;
        let special = |&b: &u8| b < self.safe || Some(b) == escape || b == b'\\';
        if utf16_length(text) <= LOOKED_AT && !comment && !text.iter().any(special) {
            return true;
        }
        let text = out.split_off(start);
        out.push(quote);
        for byte in text {
            // With an escape character both are escaped by it; without, a quote is doubled.
            if byte == quote || Some(byte) == escape {
                out.push(escape.unwrap_or(quote));
            }
            out.push(byte);
        }
        out.push(quote);
        true
    }
}

/// Characters as Java counts them: one, or two of those that UTF-8 has four bytes for.
fn utf16_length(text: &[u8]) -> usize {
    if text.len() <= LOOKED_AT {
        // As few as it takes to know.
        return text.len();
    }
    text.iter().map(|&byte| usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0)).sum()
}

impl RecordEncoder for CsvEncoder {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let fields = self.schema.fields();
        let cells = fields
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Cells::new(field, column.as_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|message| EncodeError { message })?;
        let style = Style { plain_decimals: self.options.plain_decimals, ..Style::default() };
        for row in 0..batch.num_rows() {
            let first = out.len();
            for (number, cells) in cells.iter().enumerate() {
                if number > 0 {
                    out.push(self.options.delimiter);
                }
                if cells.is_null(row) {
                    out.extend_from_slice(self.null());
                    continue;
                }
                let start = out.len();
                self.write(cells, row, style, out);
                if cells.is_quoted() && !self.protect(out, start, number == 0) {
                    return Err(EncodeError {
                        message: format!(
                            "column `{}`: `{}` holds a delimiter or newline, and quotes are off; \
                             remove 'csv.disable-quote-character' or choose another \
                             'csv.field-delimiter'",
                            fields.get(number).map_or("", |field| field.name()),
                            crate::formats::column::shorten(&out[start..])
                        ),
                    });
                }
            }
            // A record without a byte would read as an empty line, which is no record.
            if out.len() == first
                && let Some(quote) = self.options.quote
            {
                out.extend_from_slice(&[quote, quote]);
            }
            end(out);
        }
        Ok(())
    }
}
