//! What an aggregation over sessions computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::AggregateCall;

/// An aggregation over sessions: rows of a key belong together that are no more than a gap apart.
///
/// Output columns, in this order: the keys with the input's types, one column per aggregate, then
/// `window_start` (the first row's time), `window_end` (the last one's and the gap) and
/// `window_time` (`window_end` − 1 ms), each `Timestamp(Millisecond, None)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionAggregate {
    /// Columns that come in; rows only come.
    pub input: SchemaRef,
    /// The event-time column: `Timestamp(Millisecond, None)`.
    pub time: usize,
    /// Milliseconds without rows after which a session has ended.
    pub gap: i64,
    /// Key columns; none where all rows have sessions together.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
}
