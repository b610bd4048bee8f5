//! Rows that a join gives, from rows of either side.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};

use super::plan::Plan;
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError, RowKind};

/// Most rows of a batch that is given.
const ROWS: usize = 8_192;

/// Pairs, and rows that stand alone.
#[derive(Debug, Default)]
pub(super) struct Given {
    kinds: Vec<RowKind>,
    /// Of the side that rows came to or went from, and of the other one.
    own: Vec<Option<u32>>,
    other: Vec<Option<u32>>,
}

impl Given {
    pub(super) fn push(&mut self, kind: RowKind, times: i64, own: Option<u32>, other: Option<u32>) {
        for _ in 0..times {
            self.kinds.push(kind);
            self.own.push(own);
            self.other.push(other);
        }
    }

    /// The rows as batches; `own` and `other` have the columns of side `side` and of the other.
    pub(super) fn batches(
        self,
        plan: &Plan,
        side: usize,
        own: &[ArrayRef],
        other: impl FnOnce() -> Result<Vec<ArrayRef>, OperatorError>,
    ) -> Result<Vec<Batch>, OperatorError> {
        if self.kinds.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = |number: usize| number == 0 || plan.kind.gives_pairs();
        let rows = self.kinds.len();
        let nothing = |number: usize| -> Vec<ArrayRef> {
            let fields = plan.sides[number].schema.fields().iter().take(plan.widths[number]);
            fields.map(|f| new_null_array(f.data_type(), rows)).collect()
        };
        let mut columns = [Vec::new(), Vec::new()];
        if wanted(side) {
            let own = &own[..plan.widths[side]];
            columns[side] = take_all(own, &UInt32Array::from(self.own))?;
        }
        if wanted(1 - side) {
            columns[1 - side] = if self.other.iter().any(Option::is_some) {
                let other = other()?;
                let other = &other[..plan.widths[1 - side]];
                take_all(other, &UInt32Array::from(self.other))?
            } else {
                nothing(1 - side)
            };
        }
        let records = RecordBatch::try_new(Arc::clone(&plan.output), columns.concat())?;
        let adds = self.kinds.iter().all(|kind| *kind == RowKind::Insert);
        let kinds = (!adds).then(|| self.kinds.into());
        let batch = Batch::new(records).with_kinds(kinds);
        let parts = (0..rows).step_by(ROWS).map(|at| batch.slice(at, ROWS.min(rows - at)));
        Ok(parts.collect())
    }
}
