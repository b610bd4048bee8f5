//! Bytes → values of one column.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};

use super::{RawOptions, column};
use crate::formats::column::{Column, Data, Refused, finish, sql_type};
use crate::formats::{DecodeError, Decoded, RecordDecoder, TimestampFormat};

/// Text in one batch; far below what 32-bit offsets hold.
const FULL_BYTES: usize = 256 << 20;

/// Reads values; see the module.
pub struct RawDecoder {
    schema: SchemaRef,
    field: FieldRef,
    /// Of a table of which nobody wants its column too, so that what is no value is told.
    column: Column,
    wanted: bool,
    options: RawOptions,
    rows: usize,
}

impl RawDecoder {
    /// A decoder of the column of `schema`, or of none.
    ///
    /// # Errors
    /// When the table has other columns than one that the format holds.
    pub fn new(
        schema: &SchemaRef,
        projection: &[usize],
        options: RawOptions,
    ) -> Result<Self, String> {
        column(schema)?;
        let projected = schema.project(projection).map_err(|error| error.to_string())?;
        let field = Arc::clone(&schema.fields()[0]);
        Ok(Self {
            schema: Arc::new(projected),
            column: Column::new(&field)?,
            field,
            wanted: !projection.is_empty(),
            options,
            rows: 0,
        })
    }

    /// Appends a value; otherwise, where its bytes are wrong, and why.
    fn push(&mut self, value: &[u8]) -> Result<(), (usize, String)> {
        let (field, options) = (&self.field, self.options);
        let length = |wanted: usize| {
            let (name, type_name) = (field.name(), sql_type(field));
            (
                0,
                format!(
                    "column `{name}`: the record has {} bytes, and {type_name} has {wanted} in 'raw'",
                    value.len()
                ),
            )
        };
        let little = options.little_endian;
        match &mut self.column.data {
            Data::Text(text) => {
                let charset = options.charset;
                if let Err(at) = charset.decode(value, &mut text.bytes) {
                    text.truncate(self.rows);
                    return Err((at, format!("column `{}`: not {}", field.name(), charset.name())));
                }
                text.close().map_err(|why| (0, full(field, why)))?;
            }
            Data::Binary(bytes) => bytes.push(value).map_err(|why| (0, full(field, why)))?,
            Data::Boolean(values) => values.append(one(value).ok_or_else(|| length(1))? != 0),
            Data::Int8(values) => values.push(one(value).ok_or_else(|| length(1))?.cast_signed()),
            Data::Int16(values) => {
                values
                    .push(i16::from_be_bytes(big_endian(value, little).ok_or_else(|| length(2))?));
            }
            Data::Int32(values) => {
                values
                    .push(i32::from_be_bytes(big_endian(value, little).ok_or_else(|| length(4))?));
            }
            Data::Int64(values) => {
                values
                    .push(i64::from_be_bytes(big_endian(value, little).ok_or_else(|| length(8))?));
            }
            Data::Float32(values) => {
                values
                    .push(f32::from_be_bytes(big_endian(value, little).ok_or_else(|| length(4))?));
            }
            Data::Float64(values) => {
                values
                    .push(f64::from_be_bytes(big_endian(value, little).ok_or_else(|| length(8))?));
            }
            _ => {
                return Err((
                    0,
                    format!("column `{}`: no type of 'raw'; this is a bug", field.name()),
                ));
            }
        }
        self.column.nulls.append_non_null();
        self.rows += 1;
        Ok(())
    }
}

fn one(value: &[u8]) -> Option<u8> {
    <[u8; 1]>::try_from(value).ok().map(|[byte]| byte)
}

fn big_endian<const N: usize>(value: &[u8], little: bool) -> Option<[u8; N]> {
    let mut bytes = <[u8; N]>::try_from(value).ok()?;
    if little {
        bytes.reverse();
    }
    Some(bytes)
}

fn full(field: &FieldRef, why: Refused) -> String {
    match why {
        Refused::Full => format!("column `{}`: more than 2 GiB of text in one batch", field.name()),
        _ => format!("column `{}`: no value of {}", field.name(), sql_type(field)),
    }
}

impl RecordDecoder for RawDecoder {
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError> {
        let before = self.rows;
        let mut at = 0;
        while at < data.len() && self.rows < max_rows && self.column.text_bytes() < FULL_BYTES {
            let rest = &data[at..];
            let (line, next) = match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], end + 1),
                None if last => (rest, rest.len()),
                None => break,
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.push(line)
                .map_err(|(offset, message)| DecodeError::at(data, at, at + offset, message))?;
            at += next;
        }
        Ok(Decoded { consumed: at, rows: self.rows - before })
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError> {
        match self.push(message) {
            Ok(()) => Ok(true),
            Err((offset, message_of)) => Err(DecodeError::at(message, 0, offset, message_of)),
        }
    }

    fn holds_null(&self) -> bool {
        true
    }

    fn decode_null(&mut self) -> Result<(), DecodeError> {
        self.column.push_null().map_err(|why| {
            let message = self.column.refusal(why, b"", TimestampFormat::Sql);
            DecodeError::at(b"", 0, 0, message)
        })?;
        self.rows += 1;
        Ok(())
    }

    fn has_mark(&self) -> bool {
        false
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        let rows = std::mem::take(&mut self.rows);
        if self.wanted {
            return finish(std::slice::from_mut(&mut self.column), &self.schema, rows);
        }
        self.column.truncate(0);
        finish(&mut [], &self.schema, rows)
    }

    fn skipped(&self) -> u64 {
        0
    }
}
