//! Flink SQL → job graph.
//!
//! ```text
//!  text ──lex, parse──► statements ──bind──► relations ──lower──► JobGraph
//!         (places kept)             (names, types,       (chains, exchanges,
//!                                    Flink's meaning)     uids)
//! ```
//!
//! What enters: a program's text and [`PlanOptions`]. What leaves: a [`Planned`] job, or every
//! [`SqlError`] that was found, each with line and column.
//!
//! What always holds:
//! - The dialect is Flink's; what is not supported is refused at its place, never ignored.
//! - The same text gives the same graph in every process.
//! - Expressions have Flink's meaning; each function is checked against its documentation.
//!
//! Deliberately absent: I/O, any knowledge of how a connector or an operator works.

mod ast;
mod bind;
mod calc;
mod catalog;
mod error;
mod event_times;
pub mod explain;
mod expr;
mod functions;
mod lex;
mod lower;
mod parse;
mod parts;
mod rel;
mod types;
mod values;

use std::path::PathBuf;
use std::sync::Arc;

pub use catalog::LATE_ROWS_TABLE;
pub use error::{Span, SqlError, Warning, render};
pub use parts::{BuiltIn, Parts, WindowParts};
use weir_engine::graph::JobGraph;

/// What a plan depends on besides the program.
pub struct PlanOptions {
    /// The job, `namespace/name`.
    pub job: String,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Directory that relative local paths are resolved against (the manifest's).
    pub base: PathBuf,
    /// Environment variables, for `${env:NAME}` in options.
    pub env: Box<dyn Fn(&str) -> Option<String> + Send + Sync>,
    /// Where sources, sinks and stateful operators come from.
    pub parts: Arc<dyn Parts + Send + Sync>,
}

impl PlanOptions {
    /// Options with the built-in connectors and the process's environment.
    #[must_use]
    pub fn new(job: impl Into<String>, max_parallelism: u32, base: impl Into<PathBuf>) -> Self {
        Self {
            job: job.into(),
            max_parallelism,
            base: base.into(),
            env: Box::new(|name| std::env::var(name).ok()),
            parts: Arc::new(BuiltIn),
        }
    }
}

/// A program that can run.
pub struct Planned {
    /// The dataflow.
    pub graph: JobGraph,
    /// What works, but should be known.
    pub warnings: Vec<Warning>,
    /// Whether every source ends by itself.
    pub bounded: bool,
}

/// Plans a program.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn plan(sql: &str, options: &PlanOptions) -> Result<Planned, Vec<SqlError>> {
    let (statements, mut errors) = parse::parse(sql);
    let mut binder = bind::Binder::new(options);
    // What did not parse may have declared anything: later statements are only bound without.
    if errors.is_empty() {
        let program = binder.program(&statements);
        errors.append(&mut binder.errors);
        if errors.is_empty() && program.inserts.is_empty() {
            errors.push(SqlError::new(
                Span { line: 1, column: 1, end_line: 1, end_column: 1 },
                "the program has no INSERT INTO, so it would do nothing",
            ));
        }
        if errors.is_empty() {
            match lower::lower(&program, options) {
                Ok((graph, bounded, mut warnings)) => {
                    warnings.append(&mut binder.warnings);
                    return Ok(Planned { graph, warnings, bounded });
                }
                Err(found) => errors = found,
            }
        }
    }
    errors.sort();
    errors.dedup();
    Err(errors)
}

#[cfg(test)]
mod tests;
