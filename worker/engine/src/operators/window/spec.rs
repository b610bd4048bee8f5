//! What a windowed aggregation computes, independent of how.

use arrow::datatypes::{DataType, SchemaRef};

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
}

/// An aggregate function with Flink's meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Function {
    /// `COUNT(*)` or `COUNT(x)`: BIGINT, never NULL.
    Count,
    /// `SUM(x)`: integers keep their type (and wrap as Flink does), DECIMAL(p, s) gives
    /// DECIMAL(38, s), FLOAT and DOUBLE keep theirs; NULL when there was no value.
    Sum,
    /// `MIN(x)` of numbers, strings, dates and times.
    Min,
    /// `MAX(x)`.
    Max,
    /// `AVG(x)`: of integers the integer quotient truncated towards zero, in the input's type;
    /// of DECIMAL(p, s) the type Flink derives; of FLOAT and DOUBLE the quotient.
    Avg,
}

/// One aggregate of the SELECT list. Arguments are columns: expressions were computed before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AggregateCall {
    /// The function.
    pub function: Function,
    /// The argument's column; `None` for `COUNT(*)`.
    pub input: Option<usize>,
    /// A BOOLEAN column: only rows where it is TRUE count.
    pub filter: Option<usize>,
    /// `DISTINCT`: each value once per window and key.
    pub distinct: bool,
    /// The result's type, as planned.
    pub output: DataType,
    /// Name of the result column, and the stable name under which its state is kept.
    pub name: String,
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
