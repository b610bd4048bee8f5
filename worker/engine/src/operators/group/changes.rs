//! What a batch has made of results, as rows with kinds.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::interleave;

use super::batch::{BatchGroups, keys_of};
use super::plan::Plan;
use crate::operators::rows::same;
use crate::{Batch, OperatorError, RowKind};

/// The results of a batch's groups before and after it; of a group that was not or is not there,
/// anything.
pub(super) struct Results {
    pub(super) before: Vec<ArrayRef>,
    pub(super) after: Vec<ArrayRef>,
}

/// Which of the two a row shows.
const BEFORE: usize = 0;
const AFTER: usize = 1;

impl Results {
    /// Per group whether its result is another.
    fn differ(&self, groups: usize) -> Result<Vec<bool>, OperatorError> {
        let mut differ = vec![false; groups];
        for (before, after) in self.before.iter().zip(&self.after) {
            for (differ, same) in differ.iter_mut().zip(&same(before, after)?) {
                *differ |= !same;
            }
        }
        Ok(differ)
    }

    /// The changes, by group; `None` if there is none.
    pub(super) fn changes(
        &self,
        plan: &Plan,
        groups: &BatchGroups,
        keys: &[ArrayRef],
    ) -> Result<Option<Batch>, OperatorError> {
        let mut differ = self.differ(groups.len())?;
        if plan.ttl.is_some() && !plan.calls.is_empty() {
            // Who stands behind forgets a row that it hears nothing of.
            differ.fill(true);
        }
        let (mut rows, mut kinds) = (Vec::new(), Vec::new());
        let mut push = |group: usize, side: usize, kind: RowKind| {
            rows.push((side, group));
            kinds.push(kind);
        };
        for (group, differs) in differ.into_iter().enumerate() {
            match (groups.known[group], groups.is_there(group)) {
                (false, true) => push(group, AFTER, RowKind::Insert),
                (true, false) => push(group, BEFORE, RowKind::Delete),
                (true, true) if differs => {
                    if plan.update_before {
                        push(group, BEFORE, RowKind::UpdateBefore);
                    }
                    push(group, AFTER, RowKind::UpdateAfter);
                }
                _ => {}
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let owners: Vec<u32> = rows.iter().map(|(_, group)| *group as u32).collect();
        let mut columns = keys_of(keys, &owners)?;
        for (before, after) in self.before.iter().zip(&self.after) {
            let sides: [&dyn Array; 2] = [before, after];
            columns.push(interleave(&sides, &rows)?);
        }
        let records = RecordBatch::try_new(Arc::clone(&plan.output), columns)?;
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        Ok(Some(Batch::new(records).with_kinds((!inserts).then(|| kinds.into()))))
    }
}
