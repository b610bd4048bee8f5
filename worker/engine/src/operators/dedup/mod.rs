//! One row per key: by event time, as `ROW_NUMBER()` ordered by it with the condition that it is 1;
//! or as records of a table of upserts say.
//!
//! What enters: rows that only come, all rows of a key in one subtask and in order; for
//! [`Keep::Newest`](spec::Keep) also rows that go, of which only the key counts. What leaves:
//! of [`Keep::First`](spec::Keep) the row of a key once, when the watermark has passed it (`+I`);
//! of [`Keep::Last`](spec::Keep) every later row at once, correcting the one before (`-U`, `+U`);
//! of [`Keep::Newest`](spec::Keep) every row that comes, correcting the one before, and the one
//! before whole when a row of its key goes (`-D`).
//! State: a row per key; of a key whose first row was given out only that it was.
//!
//! What always holds:
//! - Of rows of one time the first counts that came, or the last.
//! - A row that was behind its own split's watermark is no first row, and is counted as late.
//! - Rows of a batch leave one change per key.
//! - A row that goes without its key being there is ignored, as in Flink.

mod first;
mod latest;
mod plan;
pub mod spec;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::first::First;
use self::latest::Latest;
use self::plan::Plan;
use self::spec::{Dedup, Keep};
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind an exchange by hash of the keys.
///
/// # Errors
/// When state cannot hold a type, or there is no event time where one is needed.
pub fn operator(spec: &Dedup) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    // What is wrong with the spec is said now.
    tables(&spec)?.iter().try_for_each(|table| table.check().map_err(OperatorError::user))?;
    Ok(Arc::new(move |cx: &Context| {
        Ok(match spec.keep {
            Keep::First => Box::new(First::new(&spec, cx.groups())?) as Box<dyn Operator>,
            Keep::Last | Keep::Newest => Box::new(Latest::new(&spec, cx.groups())?),
        })
    }))
}

/// The tables that the operator keeps.
///
/// # Errors
/// As [`operator()`].
pub fn tables(spec: &Dedup) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = Plan::new(spec)?;
    Ok(match spec.keep {
        Keep::First => first::tables(&plan).into(),
        Keep::Last | Keep::Newest => vec![latest::table(&plan)],
    })
}
