//! What a batch has made of the first rows, as rows with kinds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::interleave;
use arrow::row::Rows;

use super::plan::Plan;
use super::spec::RankFunction;
use crate::{Batch, OperatorError, RowKind};

/// The rows that are shown of some keys, one key after the other.
pub(in crate::operators) struct Shown {
    /// The input's columns.
    pub(in crate::operators) columns: Vec<ArrayRef>,
    pub(in crate::operators) ranks: Vec<u64>,
    /// Per key where its rows end.
    pub(in crate::operators) ends: Vec<usize>,
}

/// Which of the two a row is of.
pub(in crate::operators) const BEFORE: usize = 0;
pub(in crate::operators) const AFTER: usize = 1;

/// Of which side which row goes or comes.
pub(in crate::operators) type Change = (usize, usize, RowKind);

/// Both sides of the same keys.
struct Sides<'a> {
    plan: &'a Plan,
    before: (&'a Shown, Rows),
    after: (&'a Shown, Rows),
}

/// What has changed, key by key; `None` if nothing has.
pub(super) fn changes(
    plan: &Plan,
    before: &Shown,
    after: &Shown,
) -> Result<Option<Batch>, OperatorError> {
    let sides = Sides {
        plan,
        before: (before, plan.whole.convert_columns(&before.columns)?),
        after: (after, plan.whole.convert_columns(&after.columns)?),
    };
    let by_rank = plan.spec.rank.is_some() && plan.spec.function == RankFunction::RowNumber;
    let mut found = Vec::new();
    let (mut from, mut start) = (0, 0);
    for (&to, &end) in before.ends.iter().zip(&after.ends) {
        if by_rank {
            sides.rank_by_rank(from..to, start..end, &mut found);
        } else {
            sides.as_sets(from..to, start..end, &mut found);
        }
        (from, start) = (to, end);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let rows: Vec<(usize, usize)> = found.iter().map(|&(side, row, _)| (side, row)).collect();
    let mut columns = Vec::with_capacity(before.columns.len() + 1);
    for (before, after) in before.columns.iter().zip(&after.columns) {
        let sides: [&dyn Array; 2] = [before, after];
        columns.push(interleave(&sides, &rows)?);
    }
    if plan.spec.rank.is_some() {
        columns.push(Plan::ranks(rows.iter().map(|&(side, row)| sides.rank(side, row))));
    }
    let kinds: Vec<RowKind> = found.iter().map(|&(_, _, kind)| kind).collect();
    let records = RecordBatch::try_new(Arc::clone(&plan.output), columns)?;
    let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
    Ok(Some(Batch::new(records).with_kinds((!inserts).then(|| kinds.into()))))
}

impl Sides<'_> {
    fn rank(&self, side: usize, row: usize) -> u64 {
        let (shown, _) = if side == BEFORE { &self.before } else { &self.after };
        shown.ranks[row]
    }

    /// Every rank has one row at most, and a row that has it instead of another corrects that.
    fn rank_by_rank(
        &self,
        before: std::ops::Range<usize>,
        after: std::ops::Range<usize>,
        out: &mut Vec<Change>,
    ) {
        for at in 0..before.len().max(after.len()) {
            let (old, new) = (before.start + at, after.start + at);
            match (old < before.end, new < after.end) {
                (true, true) if self.before.1.row(old) != self.after.1.row(new) => {
                    out.push((BEFORE, old, RowKind::UpdateBefore));
                    out.push((AFTER, new, RowKind::UpdateAfter));
                }
                (true, false) => out.push((BEFORE, old, RowKind::Delete)),
                (false, true) => out.push((AFTER, new, RowKind::Insert)),
                _ => {}
            }
        }
    }

    /// The rank belongs to the row where it is shown.
    fn as_sets(
        &self,
        before: std::ops::Range<usize>,
        after: std::ops::Range<usize>,
        out: &mut Vec<Change>,
    ) {
        let shows_rank = self.plan.spec.rank.is_some();
        let rank = |side, row| if shows_rank { self.rank(side, row) } else { 0 };
        let of = |side: usize, row: usize| {
            let (_, rows) = if side == BEFORE { &self.before } else { &self.after };
            (rank(side, row), rows.row(row).data())
        };
        as_sets(before, after, of, out);
    }
}

/// Rows that are there less often than before go, those that are more often come. `of`: what a row
/// of a side is.
pub(in crate::operators) fn as_sets<K: std::hash::Hash + Eq>(
    before: std::ops::Range<usize>,
    after: std::ops::Range<usize>,
    of: impl Fn(usize, usize) -> K,
    out: &mut Vec<Change>,
) {
    let mut more: HashMap<K, i64> = HashMap::new();
    for row in after.clone() {
        *more.entry(of(AFTER, row)).or_default() += 1;
    }
    for row in before.clone() {
        *more.entry(of(BEFORE, row)).or_default() -= 1;
    }
    for row in before.rev() {
        if let Some(more) = more.get_mut(&of(BEFORE, row)).filter(|more| **more < 0) {
            *more += 1;
            out.push((BEFORE, row, RowKind::Delete));
        }
    }
    for row in after {
        if let Some(more) = more.get_mut(&of(AFTER, row)).filter(|more| **more > 0) {
            *more -= 1;
            out.push((AFTER, row, RowKind::Insert));
        }
    }
}
