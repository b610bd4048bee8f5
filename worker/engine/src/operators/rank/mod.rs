//! Top-N: the first rows of each key, corrected as rows come and go. `ROW_NUMBER`, `RANK` and
//! `DENSE_RANK` with a condition on the rank, `ORDER BY … LIMIT`, `LIMIT`.
//!
//! What enters: rows that come, and where [`TopN::input_rows`] says so rows that go again, all
//! rows of a key in one subtask and in order. What leaves, per key that a batch changed: rows that
//! are no longer among the first (`-D`) and those that now are (`+I`); where the rank is given out
//! and no two rows share one, per rank whose row is another `-U` and `+U`. State: the rows by
//! their order (`plan.rs`); where rows only come, those that can never be among the first again
//! are forgotten.
//!
//! Where the key is a window (`window.rs`), its first rows leave once, when the watermark has passed
//! its end; rows that come for it later are late. In a job that works on what is there and then ends
//! ([`TopN::at_end`]), those of any key leave once, when everything has come.
//!
//! What always holds:
//! - The rows that have left, folded, are the first of the rows that have come and not gone.
//! - Of rows that are equal in their order those are first that came first.
//! - A row that goes without being there is ignored, as in Flink.
//! - Of equal rows the one that came first is the one that goes.
//! - Of what a key leaves for a batch, the rows that go are before those that come.
//!
//! Deliberately absent: a rank above which rows are not kept where rows may go again: any of them
//! may be among the first one day.

pub(in crate::operators) mod changes;
mod operator;
mod plan;
mod rows;
pub mod spec;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

pub use self::operator::Rank;
use self::plan::Plan;
use self::spec::TopN;
use self::window::WindowRank;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When state cannot hold a type, or no rank is asked for.
pub fn operator(spec: &TopN) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(if spec.waits() {
            Box::new(WindowRank::new(&spec, cx.groups())?) as Box<dyn Operator>
        } else {
            Box::new(Rank::new(&spec, cx.groups())?)
        })
    }))
}

/// What the operator gives out; see [`TopN`].
///
/// # Errors
/// As [`operator()`].
pub fn output_schema(spec: &TopN) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// As [`operator()`].
pub fn tables(spec: &TopN) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    let due = spec.waits().then(|| window::due(&plan));
    Ok(std::iter::once(plan.table).chain(due).collect())
}
