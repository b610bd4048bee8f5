//! Joins of rows with what another table said at their time: `FOR SYSTEM_TIME AS OF l.ts`.
//!
//! What enters: on the left rows that only come; on the right versions of rows, which take the
//! place of those before them, or end (`-D`); all rows of a key in one subtask. What leaves, once
//! the watermark of both sides has passed a left row: the row with the version of its key that is
//! the latest not after it, or alone (`LEFT`), or not at all. State: left rows that wait, by key and
//! time; versions, by key and time; timers.
//!
//! What always holds:
//! - Nothing is taken back.
//! - Of versions of one key and time the last to come counts. What an update takes back (`-U`) says
//!   nothing: the version that takes its place follows.
//! - Of the versions that the watermark has passed only the latest of a key stays, unless it says
//!   that the row is gone. A left row that is late meets what is still there, as in Flink 2.3.
//! - Rows leave in the order of their times, and no row leaves behind a watermark that had passed it,
//!   unless it is late itself.
//! - The conditions beside equal keys are asked of the version that is found; where they do not hold
//!   there is none.

mod operator;
mod plan;
mod rows;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::operator::TemporalJoin;
use self::plan::Plan;
use super::spec;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind exchanges by hash of the keys; input 0 is the left one.
///
/// # Errors
/// When keys do not fit together, or columns are of types that state cannot hold.
pub fn operator(spec: &spec::TemporalJoin) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(TemporalJoin::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`spec::TemporalJoin`].
///
/// # Errors
/// When keys do not fit together.
pub fn output_schema(spec: &spec::TemporalJoin) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// When keys do not fit together.
pub fn tables(spec: &spec::TemporalJoin) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    Ok(vec![plan.left.table, plan.right.table, plan.due])
}
