//! `avro`: records in Avro's binary encoding; files are Avro object container files.
//!
//! Nobody declares a schema: that of a table follows from its columns, as in Flink 2.3.
//!
//! | column | Avro |
//! |---|---|
//! | CHAR, VARCHAR, STRING | string |
//! | BOOLEAN | boolean |
//! | BYTES | bytes |
//! | TINYINT, SMALLINT, INT | int |
//! | BIGINT | long |
//! | FLOAT, DOUBLE | float, double |
//! | DECIMAL(p, s) | bytes, decimal(p, s) |
//! | DATE | int, date |
//! | TIME | int, time-millis |
//! | TIMESTAMP(0) to (3) | long, timestamp-millis |
//! | the same with `avro.timestamp_mapping.legacy` = `false` | long, local-timestamp-millis |
//! | TIMESTAMP(4) to (6), with that | long, local-timestamp-micros |
//! | TIMESTAMP_LTZ(0) to (3), (4) to (6), with that | long, timestamp-millis, timestamp-micros |
//! | ARRAY | array |
//! | MAP with keys of text | map |
//! | MULTISET of text | map of int |
//! | ROW | record |
//!
//! What may be NULL is `["null", T]` with the default null. The record is
//! `org.apache.flink.avro.generated.record`, and that of a ROW in its column `a` has `_a` behind it.
//!
//! A message of Kafka is a bare datum of this schema: nothing in it tells another one apart, so what
//! follows behind the record is an error. A file tells the schema it was written with, which need
//! not be the table's. Columns are found by name, and Avro's rules say what may become what:
//!
//! | in the file | read as |
//! |---|---|
//! | no field of the name | NULL; an error where the column is NOT NULL |
//! | int | INT, BIGINT, FLOAT, DOUBLE; TINYINT and SMALLINT where the number fits |
//! | long | BIGINT, FLOAT, DOUBLE |
//! | float | FLOAT, DOUBLE |
//! | bytes, string | BYTES; STRING where it is UTF-8 |
//! | fixed | BYTES |
//! | enum | STRING |
//! | decimal, as bytes or fixed | DECIMAL with as many digits on both sides of the point, or more |
//! | time-millis, time-micros | TIME |
//! | (local-)timestamp-millis, -micros, -nanos | TIMESTAMP and TIMESTAMP_LTZ, digits beyond the column's unit cut off |
//! | union | whatever the branch of a value may become; an error where that one may not |
//!
//! Everything else is an error that names column and both types, before a row is read. Two values of
//! a map with one key: the last counts.
//!
//! What Flink does without a word, and here is an error: a number of a file that TINYINT or SMALLINT
//! cannot hold (Flink cuts bits off), a decimal with more digits than declared (Flink: NULL), a
//! timestamp or time in a file in another unit than the column's, which is converted here (Flink takes
//! the bare number), and int or long without a logical type as DATE, TIME or TIMESTAMP.
//!
//! What always holds: lengths and counts are compared with the bytes that are there before anything
//! is made of them, a block has [`MOST_BLOCK`] bytes at most, packed and unpacked, and what takes no
//! bytes at all (NULLs of the type null, empty records) is counted too; so hostile bytes are an
//! error and neither much memory nor much time.
//!
//! Why no library reads it: `arrow-avro` decodes messages only with a fingerprint or a registry's
//! number in front, gives no place between a file's blocks from which to read on, and
//! `apache-avro` makes a tree of every row.

mod container;
mod cursor;
mod decode;
mod derive;
mod encode;
mod resolve;
mod schema;
mod write;

pub use decode::AvroDecoder;
pub use encode::AvroEncoder;
pub use write::AvroFile;

/// Bytes of a block at most, packed and unpacked: a batch is made of whole blocks. With what stands
/// around it a block is no longer than the longest record of any file.
pub(crate) const MOST_BLOCK: usize = (64 << 20) - 64;

/// The `avro.*` options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AvroOptions {
    /// `avro.codec`, of files that are written.
    pub codec: Codec,
    /// `avro.timestamp_mapping.legacy`.
    pub legacy_timestamps: bool,
}

impl Default for AvroOptions {
    fn default() -> Self {
        Self { codec: Codec::Snappy, legacy_timestamps: true }
    }
}

/// How blocks of a file are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// `null`: not at all.
    Null,
    /// `deflate`, without zlib's frame.
    Deflate,
    /// `snappy`, with a checksum behind it.
    Snappy,
    /// `bzip2`.
    Bzip2,
    /// `xz`.
    Xz,
    /// `zstandard`.
    Zstandard,
}

impl Codec {
    /// All, by their names in options and files.
    pub(crate) const NAMES: [(&'static str, Self); 6] = [
        ("null", Self::Null),
        ("deflate", Self::Deflate),
        ("snappy", Self::Snappy),
        ("bzip2", Self::Bzip2),
        ("xz", Self::Xz),
        ("zstandard", Self::Zstandard),
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, codec)| *codec == self).map_or("", |(name, _)| name)
    }
}
