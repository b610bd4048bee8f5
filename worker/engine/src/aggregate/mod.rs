//! Aggregate functions: one trait, one file each, read by SQL and by every operator alike.
//!
//! ```text
//!  SQL ──names, arguments, types, refusals──► AggregateFunction   (all of them: `functions`)
//!                                                  │ compile, for an argument's type
//!                                                  ▼
//!  rows ──partial──► partial results ──merge──► Accumulator ──finish──► results
//!                        ▲                         │ export
//!                        └──── stored state ◄──────┘
//! ```
//!
//! Rows become partial results first, column by column and without looking at groups (for
//! `COUNT(*)` a column of ones); an [`Accumulator`] only ever merges partial results. So the
//! local half of a window, its bypass, the exchange, the global half and stored state speak one
//! language. A new aggregate is its own file and a line in the list of [`functions`].
//!
//! Where state lives is not the aggregate's matter. A window keeps accumulators, whose columns
//! are made for what they hold: a sum and its count share a cache line, which typed columns with
//! their NULLs beside them do not, and a window's groups are touched once per row. A row of a
//! state table (`weir_state::table`) is exactly a partial result: per batch the operator merges
//! the rows of the groups that it touches into accumulators, merges what came, and exports. That
//! costs a copy per touched group and batch, and needs no second way to merge.
//!
//! What always holds:
//! - Merging what was exported into a fresh group gives the group's state.
//! - Merging is associative, and commutative but for the rounding of floating-point sums and for
//!   what [`AggregateFunction::is_by_arrival`]; where input is retracted, a partial result and its
//!   later negation cancel out.
//!
//! Deliberately absent: arguments that are expressions (they were computed into columns before),
//! and what FILTER and DISTINCT mean, which is the same for all (`call.rs`, `distinct.rs`).

mod bag;
pub(crate) mod call;
mod distinct;
pub mod functions;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::kernels::numeric::neg_wrapping;
use arrow::datatypes::{DataType, Field};

pub use self::call::AggregateCall;
use crate::OperatorError;

/// An aggregate function, of which there is one each.
pub type Function = &'static dyn AggregateFunction;

/// An aggregate function with Flink's meaning: what may be asked of it before the types of a
/// program are known, and what it is for given ones.
pub trait AggregateFunction: Debug + Sync {
    /// Its name, in capitals.
    fn name(&self) -> &'static str;

    /// What else it is called, in capitals.
    fn synonyms(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it is called with.
    fn arguments(&self) -> Arguments {
        Arguments::One
    }

    /// Whether its result may be NULL.
    fn is_nullable(&self) -> bool {
        true
    }

    /// Whether its result depends on the order in which rows come: rows are merged in it, one
    /// after the other, and none is taken out again.
    fn is_by_arrival(&self) -> bool {
        false
    }

    /// The result's type; the argument is `None` for `*`.
    ///
    /// # Errors
    /// When arguments of the type are not taken.
    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal>;

    /// The aggregate over arguments of a type that [`AggregateFunction::resolve`] takes.
    ///
    /// # Errors
    /// When it does not.
    fn compile(
        &self,
        argument: Option<&DataType>,
        input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal>;
}

/// There is one function of a name.
impl PartialEq for dyn AggregateFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn AggregateFunction {}

/// What a function is called with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arguments {
    /// One argument; rows where it is NULL do not count.
    One,
    /// One argument, of which only matters whether it is NULL, or `*` for every row.
    OneOrStar,
}

/// The type of a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResultType {
    /// The argument's, with all that a language knows of it beyond its Arrow type.
    OfArgument,
    /// This one.
    Of(DataType),
}

impl ResultType {
    /// The Arrow type, of a call with this argument.
    fn over(self, argument: &DataType) -> DataType {
        match self {
            Self::OfArgument => argument.clone(),
            Self::Of(data_type) => data_type,
        }
    }
}

/// A type of argument that a function does not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it needs {takes}")]
pub struct Refusal {
    /// What it does take: `a number`.
    pub takes: &'static str,
}

/// What may happen to rows of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputRows {
    /// They only ever come.
    Appended,
    /// They may go again: state then holds what taking them out needs.
    Retracted,
}

/// An aggregate over arguments of a known type.
pub trait Aggregate: Debug + Send + Sync {
    /// The result's type.
    fn output(&self) -> &DataType;

    /// The columns of a partial result, and so of stored state.
    fn state(&self) -> Vec<Field>;

    /// Each row's partial result: of its value, where NULL does not count, or of the row itself
    /// where the function was called with `*`.
    ///
    /// # Errors
    /// When the values are of another type than it was compiled for.
    fn partial(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError>;

    /// How rows are taken out again.
    fn retraction(&self) -> Retraction;

    /// Partial results that take away what these add, where it is so that rows are taken out; see
    /// [`Retraction::Negated`].
    ///
    /// # Errors
    /// When a column does not hold what the aggregate writes.
    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        partial.iter().map(|column| Ok(neg_wrapping(column)?)).collect()
    }

    /// Whether a value that is there twice gives another result than once, so that DISTINCT
    /// means something.
    fn counts_duplicates(&self) -> bool {
        true
    }

    /// State of no groups.
    ///
    /// # Errors
    /// When state cannot hold the type.
    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError>;
}

/// How rows are taken out of a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retraction {
    /// By merging their partial results, negated ([`Aggregate::negated`]).
    Negated,
    /// The state does not say what it is without a value. Who takes rows out keeps each group's
    /// values in their order, with how often each is there; the state is that of one of them.
    OfValues(Pick),
}

/// One of a group's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// The first in their order.
    Least,
    /// The last.
    Greatest,
}

impl Retraction {
    /// Whether who takes rows out must keep the values of each group.
    #[must_use]
    pub fn needs_values(self) -> bool {
        matches!(self, Self::OfValues(_))
    }
}

/// Gives partial results of groups as columns.
pub trait Export: Send + Debug {
    /// The partial results of the groups in `slots`; what merging them into fresh groups gives
    /// is the state itself.
    ///
    /// # Errors
    /// When a column cannot be built.
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError>;
}

/// One aggregate's state for all groups of a table, in columns, indexed by slot.
pub trait Accumulator: Export {
    /// Makes room for `groups` groups; new ones are empty.
    fn grow(&mut self, groups: usize);

    /// Merges partial results, one per slot; slots may repeat.
    ///
    /// # Errors
    /// When the columns are not those of the aggregate's partial results.
    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError>;

    /// Empties groups whose stored state is about to be merged; what is only ever added to
    /// (sets of values) may stay.
    fn reset(&mut self, slots: &[u32]);

    /// The aggregate's results.
    ///
    /// # Errors
    /// When a column cannot be built.
    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError>;

    /// The state as it is now, in O(chunks). Unless `full`, what is only ever added to may
    /// leave out what an earlier freeze held.
    fn freeze(&mut self, full: bool) -> Box<dyn Export>;

    /// Memory in bytes.
    fn bytes(&self) -> usize;
}

/// A partial result whose columns are not those that its aggregate writes.
fn malformed(what: &str) -> OperatorError {
    OperatorError::internal(format!("a partial result of {what} has the wrong columns"))
}
