//! `raw`: a record is the bytes of one value.
//!
//! | column | a record |
//! |---|---|
//! | STRING, CHAR, VARCHAR | its text in `raw.charset` |
//! | BYTES | itself |
//! | BOOLEAN | a byte, 0 for false; written is 1 for true |
//! | TINYINT, SMALLINT, INT, BIGINT | 1, 2, 4 or 8 bytes of two's complement in `raw.endianness` |
//! | FLOAT, DOUBLE | 4 or 8 bytes of IEEE 754 in `raw.endianness` |
//!
//! NULL is a message without key or value, both ways. In a file a record is a line, which ends in
//! `\n` or `\r\n`; an empty line is an empty value. The bytes of a number may be a line's end, and so
//! may those of UTF-16: such columns have no files here, where Flink reads what it wrote as something
//! else. There is no file without a value for NULL either: writing one is an error, as in Flink.
//!
//! Flink reads text that is none in the charset with other characters in the place of what is wrong,
//! and writes `?` for characters that the charset lacks; here both are errors.

mod charset;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

use arrow::datatypes::{DataType, Field, Schema};

pub use charset::Charset;
pub use decode::RawDecoder;
pub use encode::RawEncoder;

use super::column::sql_type;

/// The `raw.*` options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RawOptions {
    /// `raw.charset`.
    pub charset: Charset,
    /// `raw.endianness` is `little-endian`.
    pub little_endian: bool,
}

/// The one column of a table.
fn column(schema: &Schema) -> Result<&Field, String> {
    let [field] = &schema.fields()[..] else {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!(
            "'raw' is the format of a single value, and there are {} columns to hold ({}); declare one, or use 'json'",
            names.len(),
            names.join(", ")
        ));
    };
    match field.data_type() {
        DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64 => Ok(field),
        _ => Err(format!(
            "column `{}` has the type {}, which 'raw' cannot hold; use STRING, BYTES, BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT or DOUBLE",
            field.name(),
            sql_type(field)
        )),
    }
}

/// Whether records can be lines of files.
///
/// # Errors
/// When the bytes of a value may be a line's end; the message names the column.
pub(crate) fn check_lines(schema: &Schema, options: RawOptions) -> Result<(), String> {
    let field = column(schema)?;
    match field.data_type() {
        DataType::Utf8 if options.charset.is_wide() => Err(format!(
            "'raw.charset' = '{}': files are read and written line by line, and bytes of its characters may be a line's end; convert the file to UTF-8",
            options.charset.name()
        )),
        DataType::Utf8 | DataType::Binary | DataType::Boolean => Ok(()),
        _ => Err(format!(
            "column `{}` has the type {}: files are read and written line by line, and bytes of a number may be a line's end; use 'format' = 'csv'",
            field.name(),
            sql_type(field)
        )),
    }
}
