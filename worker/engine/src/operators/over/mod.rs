//! `OVER` by event time: functions over the rows around each row.
//!
//! What enters: rows that only come, all rows of a key in one subtask. What leaves, when the
//! watermark has passed it: each row with the functions' results, of a key in the order of event
//! time. State: rows that wait or that frames reach back to, and per key what is known of all rows
//! before (`plan.rs`).
//!
//! What always holds:
//! - A row's results are over the rows of its key that came and were not late, sorted by event
//!   time, then by the other columns of the order, then as they came.
//! - A row is late that was behind its own split's watermark; where every frame is bounded only if
//!   there was a row of its key and no earlier time that this watermark had given out (as in Flink):
//!   a row that is behind a watermark and not late waits for the next one.
//!   So is, where a split was idle, a row that is not later than what its key has given out.
//! - Rows that are equal in the order leave together.
//!
//! Where rows of a key are all of one time ([`Over::at_once`]) they leave together, and functions may
//! reach behind a row (`whole.rs`).
//!
//! By any other order, and over rows that are corrected, nothing tells that a row's results are
//! final: `corrected.rs` gives them at once and corrects them.

mod compute;
mod corrected;
mod operator;
mod plan;
mod sequence;
pub mod spec;
mod whole;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::corrected::CorrectedRows;
use self::operator::OverRows;
use self::plan::Plan;
use self::spec::{CorrectedOver, Over};
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When state cannot hold a type, or types and functions do not fit together.
pub fn operator(spec: &Over) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(OverRows::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`Over`].
///
/// # Errors
/// As [`operator()`].
pub fn output_schema(spec: &Over) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// As [`operator()`].
pub fn tables(spec: &Over) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    Ok(vec![plan.layout.rows, plan.known, plan.layout.due])
}

/// The operator whose results are corrected, behind an exchange by hash of the keys.
///
/// # Errors
/// When state cannot hold a type, or types and functions do not fit together.
pub fn corrected(spec: &CorrectedOver) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    corrected_tables(&spec)?
        .iter()
        .try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(CorrectedRows::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// The tables that [`corrected()`] keeps.
///
/// # Errors
/// As [`corrected()`].
pub fn corrected_tables(spec: &CorrectedOver) -> Result<Vec<TableSpec>, OperatorError> {
    corrected::tables(spec)
}
