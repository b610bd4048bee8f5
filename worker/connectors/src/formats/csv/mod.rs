//! CSV: columns by position, in the order of the table's physical columns.
//!
//! What always holds: `consumed` is the exact byte behind a record, quoted newlines included; a
//! record that is broken does not take the line behind its broken place with it. Empty lines
//! are no records.
//!
//! Deliberately absent: headers (Flink has none), and nested types (`csv.array-element-delimiter`).

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
            plain_decimals: false,
        }
    }
}
