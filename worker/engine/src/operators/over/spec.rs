//! What `OVER` computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::AggregateCall;
use crate::operators::rank::spec::SortColumn;

/// Functions over the rows around each row, in the order of event time.
///
/// Output columns: those of the input, then one per call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Over {
    /// Columns that come in; rows only come.
    pub input: SchemaRef,
    /// Key columns; none where all rows are one sequence.
    pub keys: Vec<usize>,
    /// The event time, by which rows are sorted first: `Timestamp(Millisecond, None)`.
    pub time: usize,
    /// What rows of one time are sorted by; nothing is the order in which they come.
    pub order: Vec<SortColumn>,
    /// What is computed; nothing to give rows out sorted.
    pub calls: Vec<OverCall>,
    /// Whether all rows of a key are of one time, and leave together when everything has come: then
    /// functions may reach behind a row, and a frame of values goes by the first column of `order`.
    pub at_once: bool,
    /// Seconds after which what is known of a key is forgotten, where no frame reaches back to rows
    /// that have left.
    pub ttl: Option<u32>,
}

/// Functions over the rows around each row, in any order: a row's results are corrected as others
/// come and go.
///
/// Output columns: those of the input, then one per call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CorrectedOver {
    /// Columns that come in; rows may go again.
    pub input: SchemaRef,
    /// Key columns; none where all rows are one sequence.
    pub keys: Vec<usize>,
    /// What rows are sorted by, first the first, then as they came. Frames of time count in the
    /// first of these columns, which is a `Timestamp(Millisecond, None)` upwards then.
    pub order: Vec<SortColumn>,
    /// What is computed.
    pub calls: Vec<OverCall>,
    /// Seconds after which all rows of a key are forgotten to which none came and from which none went.
    pub ttl: Option<u32>,
}

/// One function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverCall {
    /// What is computed.
    pub function: OverFunction,
    /// Over which rows; means nothing to functions of a row's place.
    pub frame: Frame,
    /// Name of the result's column, and of its state.
    pub name: String,
}

/// A function of `OVER`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OverFunction {
    /// The row's place: 1, 2, 3, …
    RowNumber,
    /// One more than the number of rows before those that are equal in the order.
    Rank,
    /// One more than that of the rows before those that are equal in the order.
    DenseRank,
    /// The value of a column so many rows before, or of a default's column where there is none.
    Lag {
        /// The column.
        input: usize,
        /// How many rows before.
        offset: u32,
        /// What stands for a row that is not there; absent is NULL.
        default: Option<usize>,
    },
    /// The same so many rows behind, of rows that leave together.
    Lead {
        /// The column.
        input: usize,
        /// How many rows behind.
        offset: u32,
        /// What stands for a row that is not there; absent is NULL.
        default: Option<usize>,
    },
    /// Which of so many parts of about one length a row is in, of rows that leave together.
    Ntile(u32),
    /// The part of the other rows that are before those that are equal, of rows that leave together.
    PercentRank,
    /// The part of all rows that are not behind, of rows that leave together.
    CumeDist,
    /// The first value of the frame that is not NULL.
    FirstValue(usize),
    /// The last one.
    LastValue(usize),
    /// An aggregate.
    Aggregate(AggregateCall),
}

/// The rows that a function is over: from some before the current one up to it, or where rows leave
/// together to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What the distance counts, and whether rows that are equal in the order belong together.
    pub unit: FrameUnit,
    /// How far back it begins; `None` is at the first row. Below zero it begins behind the current
    /// row.
    pub preceding: Option<i64>,
    /// How far behind the current row it ends; `None` is at the last row. Below zero it ends before
    /// the current row.
    pub following: Option<i64>,
}

impl Frame {
    /// All rows up to those that are equal in the order.
    pub const RUNNING: Self = Self { unit: FrameUnit::Range, preceding: None, following: Some(0) };

    /// Whether it ends with the current row and begins no later.
    #[must_use]
    pub fn is_behind_nothing(self) -> bool {
        self.following == Some(0) && self.preceding.is_none_or(|back| back >= 0)
    }
}

/// What a frame's distance counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameUnit {
    /// Rows; the current one is the last.
    Rows,
    /// Milliseconds, or units of the value; the rows that are equal to the current one in the order are the last.
    Range,
}
