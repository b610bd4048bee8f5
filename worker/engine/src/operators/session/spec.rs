//! What an aggregation over sessions computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::{AggregateCall, InputRows};

/// An aggregation over sessions: rows of a key belong together that are no more than a gap apart.
///
/// Output columns, in this order: the keys with the input's types, one column per aggregate, then
/// `window_start` (the first row's time), `window_end` (the last one's and the gap) and
/// `window_time` (`window_end` − 1 ms), each `Timestamp(Millisecond, None)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionAggregate {
    /// Columns that come in.
    pub input: SchemaRef,
    /// Whether rows may go again. A session is as long as the rows that came to it, and the rows that
    /// went from it, whether they are there or not (as in Flink).
    pub input_rows: InputRows,
    /// The event-time column: `Timestamp(Millisecond, None)`.
    pub time: usize,
    /// Milliseconds without rows after which a session has ended.
    pub gap: i64,
    /// Key columns; none where all rows have sessions together.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
}
