//! Aggregation over sessions: rows of a key that are no more than a gap apart.
//!
//! What enters: rows that come, and where [`SessionAggregate::input_rows`] says so rows that go again,
//! all rows of a key in one subtask and in order. What leaves, when the
//! watermark has passed a session's end: its results, once. State: a row per session.
//!
//! What always holds:
//! - No two sessions of a key touch: rows that are exactly a gap apart belong together.
//! - A row is late whose session, with all that it would join, had ended for its own split's
//!   watermark, or has been given out. An old row that touches an open session is not.
//!
//! - A row that goes makes no session shorter, and parts none in two (as in Flink). A session of which
//!   all rows went leaves nothing.
//!
//! Deliberately absent: a half before the exchange, and early results.

mod merge;
mod operator;
mod plan;
pub mod spec;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::operator::SessionRows;
use self::plan::Plan;
use self::spec::SessionAggregate;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When types or functions do not fit together.
pub fn operator(spec: &SessionAggregate) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(SessionRows::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`SessionAggregate`].
///
/// # Errors
/// As [`operator()`].
pub fn output_schema(spec: &SessionAggregate) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// As [`operator()`].
pub fn tables(spec: &SessionAggregate) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    Ok(vec![plan.sessions, plan.due])
}
