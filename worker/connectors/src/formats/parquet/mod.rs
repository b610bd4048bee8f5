//! Parquet: what to read of a file, and a writer into memory.
//!
//! What enters: a file's metadata and the wanted columns of a table. What leaves: a
//! [`ParquetPlan`], which turns every batch read into the table's types, and [`ParquetRows`],
//! which turns batches into a file's bytes. Positions in a file are (row group, row).
//!
//! Deliberately absent: I/O. Readers come from the `parquet` crate, over whatever the connector
//! has opened.

mod convert;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod matrix;
mod plan;
#[cfg(test)]
mod round_trip;
mod stored;
mod write;

pub use plan::{ParquetPlan, RowGroup, RowPosition};
pub use write::ParquetRows;

/// Codec of a Parquet file's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Codec {
    /// No compression.
    None,
    /// Snappy, Flink's default.
    #[default]
    Snappy,
    /// Gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// LZ4 in its raw form.
    Lz4,
}

/// The `parquet.*` options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParquetOptions {
    /// `parquet.compression`.
    pub compression: Codec,
    /// `parquet.block.size`: a row group is closed when its encoded size reaches this.
    pub row_group_bytes: usize,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { compression: Codec::Snappy, row_group_bytes: 128 << 20 }
    }
}
