//! What a deduplication keeps, independent of how.

use arrow::datatypes::SchemaRef;

/// Which row of a key is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The earliest; of those of one time the first to come.
    First,
    /// The latest; of those of one time the last to come.
    Last,
    /// The last to come, until a row of its key goes (Flink's ChangelogNormalize). Of rows that go
    /// only the key counts.
    Newest,
}

/// One row per key. Rows only come, but where the newest is kept.
///
/// Output columns: those of the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dedup {
    /// Columns that come in.
    pub input: SchemaRef,
    /// Key columns; none keeps one row of all.
    pub keys: Vec<usize>,
    /// The event time: a timestamp in milliseconds. `None` where it does not matter
    /// ([`Keep::Newest`]).
    pub time: Option<usize>,
    /// Which row is kept.
    pub keep: Keep,
    /// Seconds after which a key is forgotten.
    pub ttl: Option<u32>,
}
