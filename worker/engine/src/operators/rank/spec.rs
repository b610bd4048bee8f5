//! What a Top-N computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::InputRows;

/// A column that rows are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SortColumn {
    /// Its number in the input.
    pub column: usize,
    /// Whether the largest comes first.
    pub descending: bool,
    /// Whether NULL comes before all values, whatever their direction.
    pub nulls_first: bool,
}

/// How rows are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RankFunction {
    /// 1, 2, 3, …; of equal rows those that came first are first.
    RowNumber,
    /// Equal rows have one rank, which is one more than the number of rows before them.
    Rank,
    /// Equal rows have one rank, which is one more than that of the rows before them.
    DenseRank,
}

/// The first rows of each key in an order.
///
/// Output columns: those of the input, then, where it is wanted, the rank (`Int64`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopN {
    /// Columns that come in.
    pub input: SchemaRef,
    /// Whether rows may go again.
    pub input_rows: InputRows,
    /// Key columns; none where all rows are ranked together.
    pub keys: Vec<usize>,
    /// What rows are sorted by, first the first; nothing is the order in which they come.
    pub order: Vec<SortColumn>,
    /// How they are counted.
    pub function: RankFunction,
    /// The first rank that is given out; 1 is the first of all.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// The name of the rank's column, where it is given out.
    pub rank: Option<String>,
    /// The end of a row's window, a column of the key: rows are given out once, when that has
    /// passed. Absent: they are corrected as others come.
    pub window_end: Option<usize>,
    /// Whether rows are given out once, when everything has come: then rows may go again before
    /// that, and those of a key leave sorted.
    pub at_end: bool,
    /// Seconds after which a row is forgotten; where the rank is given out, so many after its key's
    /// last change, as it tells of other rows.
    pub ttl: Option<u32>,
}

impl TopN {
    /// Whether the rows of a key leave once, and are not corrected.
    pub(super) fn waits(&self) -> bool {
        self.at_end || self.window_end.is_some()
    }
}
