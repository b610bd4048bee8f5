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
}
