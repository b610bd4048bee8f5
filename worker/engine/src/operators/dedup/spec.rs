//! What a deduplication keeps, independent of how.

use arrow::datatypes::SchemaRef;

/// Which row of a key is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The earliest; of those of one time the first to come.
    First,
    /// The latest; of those of one time the last to come.
    Last,
}

/// One row per key, by event time. Rows only come.
///
/// Output columns: those of the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dedup {
    /// Columns that come in.
    pub input: SchemaRef,
    /// Key columns; none keeps one row of all.
    pub keys: Vec<usize>,
    /// The event time: a timestamp in milliseconds.
    pub time: usize,
    /// Which row is kept.
    pub keep: Keep,
    /// Seconds after which a key is forgotten.
    pub ttl: Option<u32>,
}
