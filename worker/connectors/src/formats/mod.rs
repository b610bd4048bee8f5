//! Formats: records as bytes ↔ Arrow columns.
//!
//! What enters: a table's schema, the columns that are wanted, and the options under Flink's
//! names. What leaves: a [`RecordDecoder`] or [`RecordEncoder`] for JSON lines, CSV, bare values
//! and Avro, a plan of what to read and a writer for Parquet, a writer of Avro files.
//!
//! What always holds: only wanted columns are built; a record that is broken anywhere is an
//! error (or is skipped and counted, where the user asked for that); a decoder never reads past
//! the slice it is given, and can be given a file in pieces of any size.
//!
//! Values are read and written as Flink 2.3 does, which `like_flink/cases.tsv` holds record by
//! record. Where Flink's way changes or loses data without a word, or hangs on a quirk of Java's, the
//! cases say so with a word of this table:
//!
//! | word | Flink | here |
//! |---|---|---|
//! | arrays | in a line that is an array: passes over null; with `ignore-parse-errors` keeps what stands before a broken place | a row of each object, or none |
//! | astral | writes `\uD83D\uDE00` in JSON | writes the character, the same string |
//! | bad-utf-8 | reads bytes that are not UTF-8 as some other text, or gives up the file | refuses or skips the record |
//! | blank-lines | fails at a blank line, or makes a row of NULLs of it | passes over it, except in CSV of one column, where it is an empty field |
//! | blanks | trims some types in CSV and refuses others | trims all but STRING |
//! | calendar | DATE in CSV by the Julian calendar before 1582-10-15 and with four digits of year; in JSON not beyond some millions of years | the Gregorian calendar, signed years, all that 32 bits of days hold |
//! | containers | an object or array as STRING with numbers as doubles (1e400 is "Infinity"), as BOOLEAN false | its text without white space; no BOOLEAN |
//! | digits-cut | keeps digits of a timestamp beyond the declared ones | keeps 3, 6 or 9, whichever holds the declared ones |
//! | duplicates | stops reading when it has seen as many fields as there are columns, duplicates included | the last of duplicates counts |
//! | end-of-day | 24:00 as TIME is 00:00; refused in ISO-8601 | no TIME; the next day's 00:00 in a timestamp |
//! | escaped-line-end | an escape may stand before a line's end | the line's end ends the record |
//! | exponent | refuses exponents beyond 32 bits | too large is NULL as any decimal, too small is 0 |
//! | float-text | digits by a Java before 19, more than it takes or not the nearest | the fewest digits that read back the same, as Java from 19 on |
//! | half-pair | half a surrogate pair is written as `?` | refuses or skips the record |
//! | java-numbers | digits of other scripts, hexadecimal floats | refused |
//! | long-end | 9223372036854775808.0 is 9223372036854775807 | out of range |
//! | map-order | shows maps in the order of a hash table | in the order of the record |
//! | nanosecond-range | TIMESTAMP(7) to (9) in any year | 1677-09-22 to 2262-04-11; out of range otherwise |
//! | no-such-day | 30 February is the 28th in a timestamp, 1 or 2 March in a DATE of CSV | refused |
//! | nul | zero bytes are blanks in CSV, or an error | text |
//! | offset | TIMESTAMP_LTZ takes `Z` only | takes `+02:00` as well |
//! | one-record | takes the first record of a message and drops the others | refuses or skips the message |
//! | quoted-empty | writes the only column's empty text as an empty line | as `""`, which nobody takes for a blank line |
//! | scale | decimals without zeros at their end (100.00 is `1E+2`), in CSV by one of two ways | the same number with the column's digits |
//! | short-date | one digit of month or day, time without seconds, in CSV only | refused |
//! | small-t | `t` between date and time in ISO-8601 | refused |
//! | trailing | passes over whatever follows the object in its line | refuses or skips the record |
//! | unclosed | a quote that is never closed takes the rest of the file with it | takes its line |
//! | utf-16 | guesses UTF-16 and UTF-32 in JSON | refused by name |
//! | wrap | timestamps beyond the year 292278994 become some other year | out of range |
//!
//! Deliberately absent: I/O, compression of whole files (the connectors stream it; see
//! [`Compression`]), and `CREATE TABLE` options that are not a format's.

pub mod avro;
pub(crate) mod cell;
pub mod changes;
pub(crate) mod column;
mod compression;
pub mod csv;
pub(crate) mod encoding;
pub mod json;
#[cfg(test)]
mod like_flink;
pub(crate) mod metadata;
mod number;
mod options;
pub mod parquet;
pub(crate) mod partition;
pub mod raw;
pub(crate) mod time;

use arrow::array::RecordBatch;
use arrow::buffer::NullBuffer;

pub use compression::Compression;
pub(crate) use options::metadata_of;
pub use options::{FILES, Format, KEYS, RECORDS, has_kinds};
pub use time::TimestampFormat;

/// What one call of [`RecordDecoder::decode`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decoded {
    /// Bytes consumed: up to the end of the last complete record, its delimiter included.
    pub consumed: usize,
    /// Rows added to the builder.
    pub rows: usize,
}

/// A record that cannot be decoded.
///
/// Rows before it are in the decoder; nothing of the broken record is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line_in_data}: {message}")]
pub struct DecodeError {
    /// Byte offset in the given data of the place that is wrong.
    pub offset_in_data: usize,
    /// Byte offset in the given data where the broken record begins.
    pub record_in_data: usize,
    /// Line of that place in the given data, from 1.
    pub line_in_data: usize,
    /// Cause and fix.
    pub message: String,
}

/// A batch that cannot be written in a format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EncodeError {
    /// Column, cause and fix.
    pub message: String,
}

/// Decodes a byte stream of delimited records (files) or whole messages (Kafka) into columns.
///
/// A decoder serves one of the two; both at once is allowed but slower.
pub trait RecordDecoder: Send {
    /// Decodes complete records from `data` until `max_rows` rows are in the builder or `data`
    /// ends. `last` says that no more bytes follow, so that a final record without a delimiter
    /// counts. `data` starts at a record; the caller passes the unconsumed rest again, with
    /// more bytes behind it.
    ///
    /// # Errors
    /// When a record is broken; the rows before it stay in the builder.
    fn decode(&mut self, data: &[u8], max_rows: usize, last: bool) -> Result<Decoded, DecodeError>;

    /// Decodes one whole message; `false` when it held no row (empty, or skipped).
    ///
    /// # Errors
    /// When the message is broken; the rows before it stay in the builder.
    fn decode_message(&mut self, message: &[u8]) -> Result<bool, DecodeError>;

    /// Whether a message without a value is a row.
    fn holds_null(&self) -> bool {
        false
    }

    /// Decodes a message without a value, where that is a row.
    ///
    /// # Errors
    /// When no value can be.
    fn decode_null(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Whether the first bytes of a file may say how it is encoded; else they are a record's.
    fn has_mark(&self) -> bool {
        true
    }

    /// Whether records are lines; else places in files are told by their bytes.
    fn has_lines(&self) -> bool {
        true
    }

    /// Whether a file's beginning tells what the bytes behind it are. Then [`Self::decode`] is given
    /// the file from its first byte on, or from where it stopped before, after [`Self::begin`].
    fn has_head(&self) -> bool {
        false
    }

    /// Takes the beginning of a file whose records are read from further on; `false`: it goes on
    /// behind these bytes. `last` says that no more follow.
    ///
    /// # Errors
    /// When it is none.
    fn begin(&mut self, _head: &[u8], _last: bool) -> Result<bool, DecodeError> {
        Ok(true)
    }

    /// Rows in the builder.
    fn rows(&self) -> usize;

    /// Takes the rows as columns of the projected schema; of a format of changes, their kinds are
    /// a column behind those.
    ///
    /// # Errors
    /// When a record is no change of a row, or Arrow refuses the columns, which is a bug.
    fn finish(&mut self) -> Result<RecordBatch, DecodeError>;

    /// Of which of the records that were decoded each of the rows is that [`Self::finish`] gave,
    /// or, after an error of it, the record that is wrong; `None`: they go one by one.
    fn records_of(&self) -> Option<&[u32]> {
        None
    }

    /// Broken records skipped since the start (`ignore-parse-errors`).
    fn skipped(&self) -> u64;
}

/// Encodes batches as delimited records.
pub trait RecordEncoder: Send {
    /// Bytes that a file starts with, such as a header.
    fn header(&self) -> &[u8] {
        &[]
    }

    /// Appends every row of the batch without a delimiter; calls `end` after each.
    ///
    /// # Errors
    /// When a value cannot be written in the format.
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError>;

    /// Appends every row of the batch as a line.
    ///
    /// # Errors
    /// When a value cannot be written in the format.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.each_row(batch, out, &mut |out| out.push(b'\n'))
    }

    /// Which rows are records at all; `None`: all. Those that are not have no bytes, and a message
    /// of such a row is without a value.
    fn there(&self, _batch: &RecordBatch) -> Option<NullBuffer> {
        None
    }

    /// Appends every row without delimiters; pushes the end of each row in `out` to `ends`
    /// (Kafka: one message each).
    ///
    /// # Errors
    /// When a value cannot be written in the format.
    fn encode_rows(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), EncodeError> {
        self.each_row(batch, out, &mut |out| ends.push(out.len()))
    }
}

impl DecodeError {
    /// An error at `offset` of `data`, in the record that begins at `record`.
    pub(crate) fn at(data: &[u8], record: usize, offset: usize, message: String) -> Self {
        let offset = offset.min(data.len());
        Self {
            offset_in_data: offset,
            record_in_data: record,
            line_in_data: 1 + memchr::memchr_iter(b'\n', &data[..offset]).count(),
            message,
        }
    }

    /// A failure to build columns from rows that were all accepted.
    pub(crate) fn columns(error: &arrow::error::ArrowError) -> Self {
        Self {
            offset_in_data: 0,
            record_in_data: 0,
            line_in_data: 1,
            message: format!("decoded columns do not form a batch: {error}; this is a bug"),
        }
    }
}
