//! Left rows of a step with the versions that they meet.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::datatypes::{Field, Schema};
use weir_state::table::Ordered;

use super::plan::Plan;
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError};

/// Left rows, each with the version that it meets, if any.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Their slots among those that wait.
    pub(super) rows: Vec<u32>,
    /// Positions in `versions`.
    pub(super) version: Vec<Option<u32>>,
    /// Slots of versions.
    pub(super) versions: Vec<u32>,
}

impl Met {
    /// What leaves.
    pub(super) fn batch(
        mut self,
        plan: &Plan,
        waiting: &Ordered,
        versions: &Ordered,
    ) -> Result<Option<Batch>, OperatorError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let mut left = plan.left.rows(waiting, &self.rows)?;
        let right = plan.right.rows(versions, &self.versions)?;
        self.test(plan, &left, &right)?;
        if !plan.outer {
            let there = (0..).zip(&self.version).filter(|(_, version)| version.is_some());
            let there: UInt32Array = there.map(|(row, _)| row).collect();
            left = take_all(&left, &there)?;
            self.version.retain(Option::is_some);
        }
        let right = take_all(&right, &UInt32Array::from(self.version))?;
        let records = RecordBatch::try_new(Arc::clone(&plan.output), [left, right].concat())?;
        Ok((records.num_rows() > 0).then(|| Batch::new(records)))
    }

    /// Forgets versions of which the condition does not hold.
    fn test(
        &mut self,
        plan: &Plan,
        left: &[ArrayRef],
        right: &[ArrayRef],
    ) -> Result<(), OperatorError> {
        let Some(condition) = &plan.condition else { return Ok(()) };
        let pairs = (0..).zip(&self.version).filter_map(|(row, version)| Some((row, (*version)?)));
        let (rows, versions): (Vec<u32>, Vec<u32>) = pairs.unzip();
        if rows.is_empty() {
            return Ok(());
        }
        let (own, other) = (UInt32Array::from(rows), UInt32Array::from(versions));
        let columns = condition.columns.iter().map(|&column| {
            Ok(match column.checked_sub(left.len()) {
                None => arrow::compute::take(&left[column], &own, None)?,
                Some(column) => arrow::compute::take(&right[column], &other, None)?,
            })
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, OperatorError>>()?;
        let fields = condition.columns.iter().map(|&column| plan.output.field(column).clone());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(own.len()));
        let holds =
            (condition.test)(&RecordBatch::try_new_with_options(schema, columns, &options)?)?;
        for (pair, &row) in own.values().iter().enumerate() {
            if !(holds.is_valid(pair) && holds.value(pair)) {
                self.version[row as usize] = None;
            }
        }
        Ok(())
    }
}

/// Rows that meet nothing and never will.
pub(super) fn alone(plan: &Plan, rows: &RecordBatch) -> Result<Batch, OperatorError> {
    let nothing = plan.output.fields().iter().skip(rows.num_columns());
    let nothing = nothing.map(|field| new_null_array(field.data_type(), rows.num_rows()));
    let columns = rows.columns().iter().cloned().chain(nothing).collect();
    Ok(Batch::new(RecordBatch::try_new(Arc::clone(&plan.output), columns)?))
}
