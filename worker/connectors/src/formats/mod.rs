//! Formats: records as bytes ↔ Arrow columns.
//!
//! What enters: a table's schema, the columns that are wanted, and the options under Flink's
//! names. What leaves: a [`RecordDecoder`] or [`RecordEncoder`] for JSON lines and CSV, a plan
//! of what to read and a writer for Parquet.
//!
//! What always holds: only wanted columns are built; a record that is broken anywhere is an
//! error (or is skipped and counted, where the user asked for that); a decoder never reads past
//! the slice it is given, and can be given a file in pieces of any size.
//!
//! Deliberately absent: I/O, compression of whole files (the connectors stream it; see
//! [`Compression`]), and `CREATE TABLE` options that are not a format's.

mod cell;
mod column;
mod compression;
pub mod csv;
pub mod json;
mod number;
mod options;
pub mod parquet;
mod time;

use arrow::array::RecordBatch;

pub use compression::Compression;
pub use options::{Format, FormatOptions};
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

    /// Rows in the builder.
    fn rows(&self) -> usize;

    /// Takes the rows as columns of the projected schema.
    ///
    /// # Errors
    /// When Arrow refuses the columns, which is a bug.
    fn finish(&mut self) -> Result<RecordBatch, DecodeError>;

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
