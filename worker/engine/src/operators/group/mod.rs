//! `GROUP BY` without windows: results that are corrected as rows come and go.
//!
//! What enters: rows that come, and where [`GroupAggregate::input_rows`] says so rows that go
//! again, all rows of a key in one subtask and in order. What leaves, per group that a batch
//! changed: `+I` for a new one, `-U` and `+U` for one whose result is another, `-D` when its last
//! row went. State: a row per group (`plan.rs`), and the values of groups where partial results do
//! not say enough (`values.rs`).
//!
//! What always holds:
//! - The rows that have left, folded, are the results over the rows that have come and not gone.
//! - A group leaves at most one change per batch: `-U` with its `+U`, `+I`, or `-D`.
//! - A result is never followed by its equal, unless state expires: who stands behind would
//!   otherwise see the row expire that is alive here.
//! - A row that goes without its group being there is ignored, as in Flink. So are, without a
//!   time to live, rows that only repeat the keys of a `SELECT DISTINCT`.
//!
//! Groups of windows ([`GroupAggregate::ends`]) are given out when the watermark has passed their
//! windows, and then forgotten (`window.rs`): they are for windows over rows that go again, and for
//! results before and after a window's end, where `operators/window` merges what only comes.
//!
//! Deliberately absent: a row over no input, where there is no key (as in Flink's streams), and
//! a half before the exchange.

pub(in crate::operators) mod batch;
mod changes;
mod operator;
mod plan;
pub mod spec;
mod values;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

pub use self::operator::Group;
use self::plan::Plan;
use self::spec::GroupAggregate;
use self::window::WindowGroup;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When types or functions do not fit together.
pub fn operator(spec: &GroupAggregate) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    Plan::new(&spec)?;
    Ok(Arc::new(move |cx: &Context| {
        if spec.ends.is_some() {
            return Ok(Box::new(WindowGroup::new(&spec, cx.groups())?) as Box<dyn Operator>);
        }
        Ok(Box::new(Group::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`GroupAggregate`].
///
/// # Errors
/// When types or functions do not fit together.
pub fn output_schema(spec: &GroupAggregate) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// When types or functions do not fit together.
pub fn tables(spec: &GroupAggregate) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    let due = spec.ends.map(|_| window::due(&plan));
    let sets = plan.sets.into_iter().map(|set| set.table);
    Ok(std::iter::once(plan.groups).chain(sets).chain(due).collect())
}
