//! Accumulators: one aggregate's state for all groups of a table, in columns.
//!
//! Rows become partial results first, column by column and without looking at groups (for
//! `COUNT(*)` a column of ones); an accumulator only ever merges partial results. So the local
//! half, its bypass, the exchange, the global half and stored state speak one language.

mod call;
mod count;
mod distinct;
mod extreme;
mod sum;

use std::fmt::Debug;

use arrow::array::ArrayRef;

pub(super) use self::call::Call;
use crate::OperatorError;

/// Gives partial results of groups as columns.
pub(super) trait Export: Send + Debug {
    /// The partial results of the groups in `slots`; what merging them into fresh groups gives
    /// is the state itself.
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError>;
}

/// One aggregate's state, indexed by slot.
pub(super) trait Accumulator: Export {
    /// Makes room for `groups` groups; new ones are empty.
    fn grow(&mut self, groups: usize);

    /// Merges partial results, one per slot; slots may repeat.
    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError>;

    /// Empties groups whose stored state is about to be merged; what is only ever added to
    /// (sets of values) may stay.
    fn reset(&mut self, slots: &[u32]);

    /// The aggregate's results.
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
