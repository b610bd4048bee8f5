//! What an aggregation without windows computes, independent of how.

use arrow::datatypes::SchemaRef;

use crate::aggregate::{AggregateCall, InputRows};

/// An aggregation without windows.
///
/// Output columns, in this order: the keys with the input's types, then one column per
/// aggregate. The keys are its upsert key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupAggregate {
    /// Columns that come in.
    pub input: SchemaRef,
    /// Whether rows may go again.
    pub input_rows: InputRows,
    /// Key columns; none for a global aggregate, whose rows all have the same key.
    pub keys: Vec<usize>,
    /// What is computed; nothing for `SELECT DISTINCT`.
    pub aggregates: Vec<AggregateCall>,
    /// Whether `-U` is given out; who keeps the newest row of each key needs none.
    pub update_before: bool,
    /// Seconds after which a group is forgotten that no row came to or went from.
    pub ttl: Option<u32>,
    /// Set where groups are those of windows, whose results leave when these end.
    pub ends: Option<Ends>,
}

/// When the results of windows leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Which of the keys is the window's end, a `Timestamp(Millisecond, _)`.
    pub at: usize,
    /// Whether results leave before a window's end, and are corrected as rows come.
    pub early: bool,
    /// Whether results that have left are corrected as late rows come.
    pub late: bool,
    /// How long after a window's end rows are not too late, in milliseconds.
    pub lateness: i64,
}

impl Ends {
    /// Once, when the window ends.
    #[must_use]
    pub fn once(at: usize) -> Self {
        Self { at, early: false, late: false, lateness: 0 }
    }

    /// Whether results that have left are corrected.
    #[must_use]
    pub fn corrects(self) -> bool {
        self.early || self.late
    }
}
