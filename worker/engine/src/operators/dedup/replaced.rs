//! What leaves when rows of keys take the place of others.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::interleave;
use arrow::row::{RowConverter, SortField};

use super::plan::Plan;
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError, RowKind};

/// Compares rows with those that they replace.
#[derive(Debug)]
pub(super) struct Replaced {
    whole: RowConverter,
}

impl Replaced {
    pub(super) fn new(plan: &Plan) -> Result<Self, OperatorError> {
        let fields = plan.row_fields.iter().map(|f| SortField::new(f.data_type.clone()));
        Ok(Self { whole: RowConverter::new(fields.collect())? })
    }

    /// The changes of keys, in their order. Of each key, `sides` says whether there was a row, which
    /// is then the next of `before`, and whether there is one now, which stands in `after` where the
    /// key stands in `keys`.
    pub(super) fn changes(
        &self,
        plan: &Plan,
        keys: &[ArrayRef],
        before: &[ArrayRef],
        after: &[ArrayRef],
        sides: impl Iterator<Item = (bool, bool)>,
    ) -> Result<Option<Batch>, OperatorError> {
        let (old, new) = (self.whole.convert_columns(before)?, self.whole.convert_columns(after)?);
        let (mut found, mut owners, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        let mut leave = |side: usize, at: usize, key: usize, kind: RowKind| {
            found.push((side, at));
            owners.push(key as u32);
            kinds.push(kind);
        };
        let mut at_old = 0;
        for (key, (was, is)) in sides.enumerate() {
            match (was, is) {
                (false, false) => {}
                (false, true) => leave(1, key, key, RowKind::Insert),
                (true, false) => leave(0, at_old, key, RowKind::Delete),
                // Who stands behind forgets a row that it hears nothing of.
                (true, true) if old.row(at_old) != new.row(key) || plan.spec.ttl.is_some() => {
                    leave(0, at_old, key, RowKind::UpdateBefore);
                    leave(1, key, key, RowKind::UpdateAfter);
                }
                (true, true) => {}
            }
            at_old += usize::from(was);
        }
        if found.is_empty() {
            return Ok(None);
        }
        let keys = take_all(keys, &UInt32Array::from(owners))?;
        let rows = before.iter().zip(after).map(|(before, after)| {
            let sides: [&dyn Array; 2] = [before, after];
            Ok(interleave(&sides, &found)?)
        });
        let columns = plan.join(&keys, &rows.collect::<Result<Vec<_>, OperatorError>>()?);
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(plan.records(columns)?);
        Ok(Some(batch.with_kinds((!inserts).then(|| kinds.into()))))
    }
}
