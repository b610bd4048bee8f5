//! CSV: columns by position, in the order of the table's physical columns.
//!
//! What always holds: `consumed` is the exact byte behind a record, quoted newlines included; a
//! record that is broken does not take the line behind its broken place with it. Empty lines
//! are no records.
//!
//! An ARRAY is one field, its elements with `csv.array-element-delimiter` between them; so are the
//! fields of a ROW. What is written within has no quotes of its own: an element that holds the
//! delimiter reads as two, in Flink as here.
//!
//! Deliberately absent: headers (Flink has none), MAP, and types within ARRAY and ROW that are made of
//! others, which Flink refuses as well.

use arrow::datatypes::{DataType, Field};

use super::column::sql_type;

mod decode;
mod encode;
mod split;

pub use decode::CsvDecoder;
pub use encode::CsvEncoder;

/// The `csv.*` options. Characters are ASCII, so that no byte of them is part of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    /// `csv.field-delimiter`.
    pub delimiter: u8,
    /// `csv.quote-character`; `None`: `csv.disable-quote-character`.
    pub quote: Option<u8>,
    /// `csv.escape-character`.
    pub escape: Option<u8>,
    /// `csv.allow-comments`: lines that begin with `#` are no records.
    pub comments: bool,
    /// `csv.ignore-parse-errors`: broken records are skipped, broken values become NULL.
    pub ignore_parse_errors: bool,
    /// `csv.null-literal`: the text that stands for NULL.
    pub null_literal: Option<String>,
    /// `csv.array-element-delimiter`.
    pub elements: String,
    /// `csv.write-bigdecimal-in-scientific-notation` is false.
    pub plain_decimals: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comments: false,
            ignore_parse_errors: false,
            null_literal: None,
            elements: ";".to_owned(),
            plain_decimals: false,
        }
    }
}

/// Whether a field of a record can hold a column, or what to do.
fn check(field: &Field) -> Result<(), String> {
    let parts = match field.data_type() {
        DataType::List(item) => std::slice::from_ref(item),
        DataType::Struct(fields) => fields,
        DataType::Map(..) => {
            return Err(format!(
                "column `{}` has the type {}, which CSV cannot hold; declare it as STRING, or use \
                 'format' = 'json'",
                field.name(),
                sql_type(field)
            ));
        }
        _ => return Ok(()),
    };
    match parts.iter().find(|part| part.data_type().is_nested()) {
        None => Ok(()),
        Some(part) => Err(format!(
            "column `{}` holds values of the type {}; CSV holds an ARRAY or ROW of plain values \
             alone: use 'format' = 'json'",
            field.name(),
            sql_type(part)
        )),
    }
}
