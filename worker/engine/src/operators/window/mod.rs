//! Windowed aggregation over slices: TUMBLE and HOP, local and global half.
//!
//! ```text
//!  rows ──► local: table per slice ──(slice closed, flush, memory)──► key-by
//!       ──► global: table per slice ──(watermark)──► windows = merged slices
//! ```
//!
//! What enters the local half: rows with an event time. What travels between the halves:
//! partial results ([`intermediate_schema`]), with canonical key hashes attached. What leaves the
//! global half: the rows of each window, once, when the watermark completes it.
//!
//! What always holds:
//! - Only the data decides what is late: a row that was behind its own split's watermark counts
//!   in no window which that watermark completed; any other row counts in all of its windows.
//!   (Only a split that was idle can find its windows already given out; its rows then count in
//!   those that are left, and are counted as late when there is none.)
//! - The local half holds nothing back when a barrier or idleness passes, and nothing that a
//!   watermark completes when that passes.
//! - A window's rows leave before the watermark that completes it.
//!
//! Deliberately absent: early results, allowed lateness beyond the watermark, retraction. Windows with
//! these are groups that end (`operators/group/window.rs`).

mod global;
mod local;
mod plan;
mod slices;
mod snapshot;
mod spans;
pub mod spec;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::plan::Plan;
use self::spec::WindowAggregate;
use crate::operator::{OperatorFactory, StateSchema};
use crate::{Context, Operator, OperatorError};

/// The half before the exchange.
///
/// # Errors
/// When windows, types or functions do not fit together.
pub fn local(spec: &WindowAggregate) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let plan = Arc::new(Plan::new(spec)?);
    Ok(Arc::new(move |_: &Context| {
        Ok(Box::new(local::Local::new(Arc::clone(&plan), local::Limits::default()))
            as Box<dyn Operator>)
    }))
}

/// The half behind the exchange, which must be by hash of [`exchange_columns`].
///
/// # Errors
/// When windows, types or functions do not fit together.
pub fn global(spec: &WindowAggregate) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let plan = Arc::new(Plan::new(spec)?);
    Ok(Arc::new(move |_: &Context| {
        Ok(Box::new(global::Global::new(Arc::clone(&plan))) as Box<dyn Operator>)
    }))
}

/// What travels between the halves: the keys, `$slice_end` and `$visible_from` (event time in
/// ms), then the partial results of each aggregate under its name, and the number of rows behind
/// them where no aggregate is that.
///
/// # Errors
/// When windows, types or functions do not fit together.
pub fn intermediate_schema(spec: &WindowAggregate) -> Result<SchemaRef, OperatorError> {
    Ok(Plan::new(spec)?.intermediate)
}

/// What the global half gives out; see [`WindowAggregate`].
///
/// # Errors
/// When windows, types or functions do not fit together.
pub fn output_schema(spec: &WindowAggregate) -> Result<SchemaRef, OperatorError> {
    Ok(Plan::new(spec)?.output)
}

/// The columns of [`intermediate_schema`] that the exchange is by. Their hashes are attached to
/// every batch that the local half gives out, so the exchange can reuse them. Without keys the
/// list is empty and every row has the same hash.
#[must_use]
pub fn exchange_columns(spec: &WindowAggregate) -> Vec<usize> {
    (0..spec.keys.len()).collect()
}

/// The state that the global half keeps.
///
/// # Errors
/// When windows, types or functions do not fit together.
pub fn state_schema(spec: &WindowAggregate) -> Result<StateSchema, OperatorError> {
    let plan = Plan::new(spec)?;
    let columns: BTreeMap<String, String> = plan.intermediate.fields()[..plan.partials().end]
        .iter()
        .map(|f| (f.name().clone(), f.data_type().to_string()))
        .collect();
    Ok(StateSchema { version: snapshot::VERSION, columns })
}
