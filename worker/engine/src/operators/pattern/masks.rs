//! What conditions say of rows alone, for all rows at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;

use super::plan::{Plan, Planned};
use super::spec::{Value, What};
use crate::OperatorError;

/// Per variable the rows that may be called so, as far as they alone decide it; none: all of them.
pub(super) type Masks = Vec<Option<BooleanBuffer>>;

/// Rows of keys, one key after the other: `spans`.
pub(super) fn masks(
    plan: &Plan,
    records: &RecordBatch,
    spans: &[Range<usize>],
) -> Result<Masks, OperatorError> {
    let mut shifted = Shifted { records, spans, known: BTreeMap::new() };
    let mut masks = Vec::with_capacity(plan.alone.len());
    for checks in &plan.alone {
        let mut mask: Option<BooleanBuffer> = None;
        for planned in checks {
            let mut columns = Vec::with_capacity(planned.check.values.len());
            for value in &planned.check.values {
                columns.push(shifted.column(value)?);
            }
            let holds = holds(planned, columns, records.num_rows())?;
            mask = Some(match mask {
                Some(mask) => &mask & &holds,
                None => holds,
            });
        }
        masks.push(mask);
    }
    Ok(masks)
}

/// Which rows fit; NULL is no.
pub(super) fn holds(
    planned: &Planned,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<BooleanBuffer, OperatorError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let values = RecordBatch::try_new_with_options(Arc::clone(&planned.schema), columns, &options)?;
    let holds: BooleanArray = (planned.check.test)(&values)?;
    if holds.len() != rows {
        return Err(OperatorError::internal("a condition of DEFINE lost rows"));
    }
    Ok(match holds.nulls() {
        Some(nulls) => holds.values() & nulls.inner(),
        None => holds.values().clone(),
    })
}

/// Columns of rows that are some rows further.
struct Shifted<'a> {
    records: &'a RecordBatch,
    spans: &'a [Range<usize>],
    known: BTreeMap<i64, UInt32Array>,
}

impl Shifted<'_> {
    fn column(&mut self, value: &Value) -> Result<ArrayRef, OperatorError> {
        let Value::Row { what: What::Column(column), place } = value else {
            return Err(OperatorError::internal("a row alone has no such value"));
        };
        let column = self.records.column(*column);
        if place.shift == 0 {
            return Ok(Arc::clone(column));
        }
        let rows = self.known.entry(place.shift).or_insert_with(|| {
            let mut rows = Vec::with_capacity(self.records.num_rows());
            for span in self.spans {
                rows.extend(
                    span.clone().map(|row| further(row, place.shift, span).map(|r| r as u32)),
                );
            }
            rows.into()
        });
        Ok(take(column, rows, None)?)
    }
}

/// The row so many rows further, if the key has it.
pub(super) fn further(row: usize, shift: i64, span: &Range<usize>) -> Option<usize> {
    let row = i64::try_from(row).ok()?.checked_add(shift)?;
    usize::try_from(row).ok().filter(|row| span.contains(row))
}
