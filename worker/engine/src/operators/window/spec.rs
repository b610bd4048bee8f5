//! What a windowed aggregation computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::AggregateCall;

/// How event time is cut into windows `[start, start + size)`; milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// `TUMBLE(…, size [, offset])`.
    Tumble {
        /// Length.
        size: i64,
        /// Shift of the grid against the epoch.
        offset: i64,
    },
    /// `HOP(…, slide, size [, offset])`; `size` is a multiple of `slide`, as in Flink.
    Hop {
        /// Length.
        size: i64,
        /// Distance between starts.
        slide: i64,
        /// Shift of the grid against the epoch.
        offset: i64,
    },
    /// `CUMULATE(…, step, size [, offset])`: windows that begin together and end one step after
    /// another, up to the size; that is a multiple of the step.
    Cumulate {
        /// Length of the longest.
        size: i64,
        /// Distance between ends.
        step: i64,
        /// Shift of the grid against the epoch.
        offset: i64,
    },
}

/// A windowed aggregation.
///
/// Output columns, in this order: the keys with the input's types, one column per aggregate,
/// then `window_start`, `window_end` (`Timestamp(Millisecond, None)`) and `window_time`
/// (`window_end` − 1 ms, the event time of the result).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowAggregate {
    /// Columns that come in.
    pub input: SchemaRef,
    /// The event-time column: `Timestamp(Millisecond, None)`.
    pub time: usize,
    /// The windows.
    pub window: Window,
    /// Key columns; none for a global aggregate, whose rows all have the same key.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
}
