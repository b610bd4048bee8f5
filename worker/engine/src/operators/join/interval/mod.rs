//! Joins of rows that are near each other in event time: `l.ts BETWEEN r.ts - … AND r.ts + …`.
//!
//! What enters: rows of two inputs that only come, all rows of a key in one subtask. What leaves:
//! pairs, and once the watermark says that no match can come any more, rows without one where the
//! join's kind gives them. State: per side a table of its rows by key and time, of which rows go
//! once no row that is not late can match them; timers for rows that may have to be given alone.
//!
//! What always holds:
//! - Nothing is taken back.
//! - A row that is late joins what is still there, and is given alone at once if nothing is; of
//!   windows it is left out ([`spec::IntervalJoin::leaves_late`]).
//! - The watermark is held back by the larger bound: of rows that came in time none leaves behind a
//!   watermark that says it cannot come.

mod operator;
mod probe;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::operator::IntervalJoin;
use super::spec;
use crate::operator::{OperatorFactory, TableSpec};
use crate::{Context, Operator, OperatorError};

/// The operator, behind exchanges by hash of the keys; input 0 is the left one.
///
/// # Errors
/// When keys do not fit together, or columns are of types that state cannot hold.
pub fn operator(spec: &spec::IntervalJoin) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let spec = spec.clone();
    for table in tables(&spec)? {
        table.check().map_err(OperatorError::user)?;
    }
    Ok(Arc::new(move |cx: &Context| {
        Ok(Box::new(IntervalJoin::new(&spec, cx.groups())?) as Box<dyn Operator>)
    }))
}

/// The tables that the operator keeps.
///
/// # Errors
/// When keys do not fit together.
pub fn tables(spec: &spec::IntervalJoin) -> Result<Vec<TableSpec>, OperatorError> {
    operator::specs(spec)
}
