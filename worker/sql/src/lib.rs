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
//! - Expressions have Flink's meaning. `tests/cases.tsv` records what Flink 2.3 answers for each
//!   function, cast and operator; where Weir means to differ, the reason stands beside it.
//!
//! Deliberately absent: I/O, any knowledge of how a connector or an operator works.
//!
//! # Why parser, types and functions are our own
//!
//! A program that runs in Flink has to give the same rows here, or be refused. DataFusion, the
//! other candidate, parses and plans well, but means something else by nearly every word:
//!
//! - Types: Flink's integers wrap and divide towards zero, `AVG(INT)` is an INT, a DECIMAL product
//!   gets one digit more than it can need, `0.05` is a DECIMAL(3, 2), CHAR is padded.
//! - NULL and errors: a DECIMAL that overflows is NULL, `TO_TIMESTAMP` of nonsense is NULL, the
//!   same text in CAST stops the job, `UNIX_TIMESTAMP` of it is the smallest BIGINT.
//! - Functions of the same name differ: `SUBSTRING` from 0 and from the end, `REGEXP_REPLACE`
//!   without groups, `TRIM` of sets, months between days, weeks that begin on Sunday.
//! - Errors: every one is to have a line, a column and what to write instead, also those that
//!   appear in the data; places do not survive DataFusion's logical plan.
//!
//! Rejected were: DataFusion with every function, coercion and type rule replaced (what is left is
//! a parser, and its planner's rewrites assume its own meaning); sqlparser with our binder (it
//! reads many dialects at once, so that what Flink refuses passes, and window functions, watermarks
//! and metadata columns need patches); Calcite itself (a JVM in the operator). What is given up is
//! DataFusion's breadth: joins and OVER have to be written here, each against Flink.

mod ast;
mod bind;
mod calc;
mod catalog;
mod clock;
mod comments;
mod database;
mod error;
mod event_times;
pub mod explain;
mod expr;
mod functions;
mod lex;
mod lower;
mod narrow;
mod parse;
mod parts;
mod rel;
pub mod session;
mod types;
mod values;
mod zone;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

pub use catalog::LATE_ROWS_TABLE;
pub use error::{Span, SqlError, Warning, render};
pub use parts::{BuiltIn, Parts, StateAsked, StateColumns, StatePart, StateProblem, WindowParts};
pub use weir_connectors::reference::Variable;
use weir_engine::graph::JobGraph;
use weir_engine::veil;

/// Looks a variable up by its name; `None`: it is not set.
pub type Environment = Box<dyn Fn(&str) -> Option<Variable> + Send + Sync>;

/// What a plan depends on besides the program.
pub struct PlanOptions {
    /// The job, `namespace/name`.
    pub job: String,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Directory that relative local paths are resolved against (the manifest's).
    pub base: PathBuf,
    /// Environment variables, for `${env:NAME}` in options.
    pub env: Environment,
    /// Where sources, sinks and stateful operators come from.
    pub parts: Arc<dyn Parts + Send + Sync>,
}

/// This process's own environment. What a program reads of it is covered
/// ([`weir_engine::veil`]) in everything that the process says.
#[must_use]
pub fn environment() -> Environment {
    Box::new(|name| {
        let value = std::env::var(name).ok()?;
        veil::cover(name, &value);
        Some(Variable::Value(value))
    })
}

impl PlanOptions {
    /// Options with the built-in connectors and the process's environment.
    #[must_use]
    pub fn new(job: impl Into<String>, max_parallelism: u32, base: impl Into<PathBuf>) -> Self {
        Self {
            job: job.into(),
            max_parallelism,
            base: base.into(),
            env: environment(),
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
    /// Sinks, by their operators' names, that are given rows which are corrected later.
    pub corrected: BTreeSet<String>,
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
        let session = zone::Session::begin();
        let program = binder.program(&statements);
        drop(session);
        errors.append(&mut binder.errors);
        if errors.is_empty() && program.inserts.is_empty() {
            errors.push(SqlError::new(
                Span { line: 1, column: 1, end_line: 1, end_column: 1 },
                "the program has no INSERT INTO and no SELECT, so it would do nothing",
            ));
        }
        if errors.is_empty() {
            match lower::lower(&program, options) {
                Ok(mut planned) => {
                    planned.warnings.append(&mut binder.warnings);
                    let said = comments::with_statements(sql).into_iter();
                    let warning = |span| Warning { span, message: comments::MESSAGE.to_owned() };
                    planned.warnings.extend(said.map(warning));
                    return Ok(planned);
                }
                Err(found) => errors = found,
            }
        }
    }
    let comments = comments::with_statements(sql).into_iter();
    errors.extend(comments.map(|span| SqlError::new(span, comments::MESSAGE)));
    errors.sort();
    errors.dedup();
    Err(errors)
}

#[cfg(test)]
mod tests;
