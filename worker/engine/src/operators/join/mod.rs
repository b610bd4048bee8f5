//! Joins over all rows: `INNER`, `LEFT`, `RIGHT`, `FULL`, and rows that have a match or none
//! (`IN`, `EXISTS` and their opposites).
//!
//! What enters: rows of two inputs, which may go again where [`spec::JoinInput::rows`] says so, all
//! rows of a key in one subtask and in order. What leaves, per batch: what is taken back, then
//! what is given. State: per side a table of its rows by key (`store.rs`), told apart by what makes
//! them unique, or else by all their columns and counted.
//!
//! What always holds:
//! - The rows that have left, folded, are the join of the rows that have come and not gone.
//! - Nothing is taken back behind what takes its place.
//! - A row that changes nothing for a key's pairs, because it came and went in one batch, leaves
//!   nothing.
//! - A row with a NULL in a key that NULL does not match is given at once or never; it is not kept.
//! - A row that goes without being there is ignored, as in Flink.
//!
//! A row that is given for having no match is taken back once it has one. Where the keys decide
//! alone, that follows from whether the other side has rows of the key; where a condition takes
//! part or rows expire, each row counts its matches.

mod emit;
mod fold;
pub mod interval;
mod operator;
mod plan;
mod probe;
pub mod spec;
mod store;
pub mod temporal;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

pub use self::operator::Join;
use self::plan::Plan;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind exchanges by hash of the keys; input 0 is the left one.
///
/// # Errors
/// When keys do not fit together, or columns are of types that state cannot hold.
pub fn operator(spec: &spec::Join) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    for table in tables(&spec)? {
        table.check().map_err(OperatorError::user)?;
    }
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(Join::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`spec::Join`].
///
/// # Errors
/// When keys do not fit together.
pub fn output_schema(spec: &spec::Join) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// When keys do not fit together.
pub fn tables(spec: &spec::Join) -> Result<Vec<TableSpec>, OperatorError> {
    Ok(Plan::new(spec)?.sides.into_iter().map(|side| side.table).collect())
}
