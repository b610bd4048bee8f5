//! MATCH_RECOGNIZE: rows of a key that follow each other in event time and fit a pattern.
//!
//! What enters: rows that only come, all rows of a key in one subtask. What leaves, when the
//! watermark has passed what decides it: a row per match, or each row of each match. State: the
//! rows that may still be part of a match, in order (`operators/in_order.rs`), and per key how many
//! of them stand before the search and how many matches there were, where that matters.
//!
//! What always holds:
//! - A key's rows are searched from the first on. A search ends with a match, with none, or stays
//!   open because it asks for a row that has not come; then the rows from its first one on are
//!   kept, and the search begins anew when there are more. Nothing of the automaton is state.
//! - Of the matches that begin at a row it is the first in the order of preference
//!   (`automaton.rs`) that counts; the next search begins where AFTER MATCH SKIP says.
//! - A row is late that was behind its own split's watermark, or that its key's search has
//!   passed (as in Flink).
//!
//! What it costs:
//! - What a condition says of a row alone is computed for all rows at once (`masks.rs`); what it
//!   says of other rows of the match, once for each row that is tried for the variable.
//! - A search tries a row once per step at most where conditions look at rows alone: what failed
//!   is known. Where they look at the match, ways through the pattern are tried one by one, and a
//!   search that has tried [`search::MOST_TRIED`] rows is refused.
//! - Searches that begin at neighbouring rows share nothing, as the partial matches of Flink: a
//!   run of n rows that all begin a long match costs n times its length. Every one ends at WITHIN.
//! - A search that stays open over w watermarks at which its key has new rows is done w times. A
//!   match over very many rows and watermarks therefore wants WITHIN.
//!
//! Deliberately absent: empty matches, and rows that are corrected.

mod automaton;
mod masks;
mod matches;
mod operator;
mod plan;
mod search;
pub mod spec;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::automaton::{compile, waits_for_the_end};
use self::operator::PatternRows;
use self::plan::Plan;
use self::spec::{Pattern, Shape, Value};
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When state cannot hold a type, or the pattern has too many steps.
pub fn operator(spec: &Pattern) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(PatternRows::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`Pattern`].
///
/// # Errors
/// As [`operator()`].
pub fn output_schema(spec: &Pattern) -> Result<SchemaRef, OperatorError> {
    Ok(Arc::clone(&Plan::new(spec)?.output))
}

/// The tables that the operator keeps.
///
/// # Errors
/// As [`operator()`].
pub fn tables(spec: &Pattern) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    Ok([plan.layout.rows, plan.layout.due].into_iter().chain(plan.known).collect())
}

/// How long after its last row a match of this shape may leave, whose conditions and measures take
/// these values.
///
/// # Errors
/// When the pattern has too many steps.
pub fn delay<'a>(
    shape: &Shape,
    values: impl Iterator<Item = &'a Value>,
    within: Option<i64>,
) -> Result<Delay, OperatorError> {
    let ahead = values.map(Value::shift).any(|shift| shift > 0);
    let ends = waits_for_the_end(&compile(shape)?);
    Ok(match (ahead, ends, within) {
        (true, ..) => Delay::Unbounded,
        (false, false, _) => Delay::None,
        (false, true, Some(within)) => Delay::Bounded(within),
        (false, true, None) => Delay::Unbounded,
    })
}

/// Whether the operator holds the watermark back.
///
/// # Errors
/// As [`operator()`].
pub fn holds_back(spec: &Pattern) -> Result<bool, OperatorError> {
    Ok(matches!(Plan::new(spec)?.delay, Delay::Bounded(_)))
}

/// How long after its last row a match may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// With the watermark that passes it, but for those that wait for an earlier search.
    None,
    /// At most so many milliseconds later, by which the watermark is held back.
    Bounded(i64),
    /// It is not known.
    Unbounded,
}
