//! Rows of a batch with what was found for them, a block of pairs at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::spec::LookupJoin as Spec;
use crate::lookup::Found;
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError};

/// Pairs that are looked at in one step.
const PAIRS: usize = 8_192;

/// A batch that was answered, and how far it is given out.
pub(super) struct Answered {
    batch: Batch,
    found: Found,
    /// Per row where its matches begin and end among the rows that were found.
    spans: Vec<(usize, usize)>,
    row: usize,
    /// The next match of the row, and whether the condition held for one before.
    next: usize,
    held: bool,
}

/// The pairs of a step: rows of the batch, and of what was found.
#[derive(Default)]
struct Pairs {
    own: Vec<u32>,
    other: Vec<Option<u32>>,
}

impl Answered {
    pub(super) fn new(batch: Batch, of_row: &[Option<u32>], keys: usize, found: Found) -> Self {
        let mut starts = vec![0; keys + 1];
        for &key in &found.of {
            if let Some(start) = starts.get_mut(key as usize + 1) {
                *start += 1;
            }
        }
        for key in 0..keys {
            starts[key + 1] += starts[key];
        }
        let span = |key: &Option<u32>| {
            key.map_or((0, 0), |key| (starts[key as usize], starts[key as usize + 1]))
        };
        let spans: Vec<(usize, usize)> = of_row.iter().map(span).collect();
        let next = spans.first().map_or(0, |span| span.0);
        Self { batch, found, spans, row: 0, next, held: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.row == self.spans.len()
    }

    /// The next rows.
    pub(super) fn step(&mut self, spec: &Spec, output: &SchemaRef) -> Result<Batch, OperatorError> {
        let first = self.row;
        let held_before = self.held;
        let mut pairs = Pairs::default();
        while self.row < self.spans.len() && pairs.own.len() < PAIRS {
            let (_, end) = self.spans[self.row];
            while self.next < end && pairs.own.len() < PAIRS {
                pairs.own.push(self.row as u32);
                pairs.other.push(Some(self.next as u32));
                self.next += 1;
            }
            if self.next < end {
                break;
            }
            self.row += 1;
            self.next = self.spans.get(self.row).map_or(0, |span| span.0);
        }
        let holds = self.test(spec, output, &pairs)?;
        let mut given = Pairs::default();
        let mut pair = 0;
        for row in first..=self.row.min(self.spans.len().saturating_sub(1)) {
            let mut held = row == first && held_before;
            while pairs.own.get(pair) == Some(&(row as u32)) {
                if holds.as_ref().is_none_or(|holds| holds[pair]) {
                    held = true;
                    given.own.push(row as u32);
                    given.other.push(pairs.other[pair]);
                }
                pair += 1;
            }
            if row < self.row && !held && spec.outer {
                given.own.push(row as u32);
                given.other.push(None);
            }
            self.held = row == self.row && held;
        }
        let rows = self.batch.take(&UInt32Array::from(given.own))?;
        let right = take_all(self.found.rows.columns(), &UInt32Array::from(given.other))?;
        let columns = rows.records().columns().iter().cloned().chain(right).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let records = RecordBatch::try_new_with_options(Arc::clone(output), columns, &options)?;
        Ok(rows.with_records(records)?)
    }

    /// Per pair whether the condition holds; `None` where there is none.
    fn test(
        &self,
        spec: &Spec,
        output: &SchemaRef,
        pairs: &Pairs,
    ) -> Result<Option<Vec<bool>>, OperatorError> {
        let Some(condition) = &spec.condition else { return Ok(None) };
        if pairs.own.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let own = UInt32Array::from(pairs.own.clone());
        let other = UInt32Array::from(pairs.other.clone());
        let (left, right) = (self.batch.records(), &self.found.rows);
        let columns = condition.columns.iter().map(|&column| {
            Ok(match column.checked_sub(left.num_columns()) {
                None => arrow::compute::take(left.column(column), &own, None)?,
                Some(column) => arrow::compute::take(right.column(column), &other, None)?,
            })
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, OperatorError>>()?;
        let fields = condition.columns.iter().map(|&column| output.field(column).clone());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(own.len()));
        let holds =
            (condition.test)(&RecordBatch::try_new_with_options(schema, columns, &options)?)?;
        Ok(Some((0..holds.len()).map(|i| holds.is_valid(i) && holds.value(i)).collect()))
    }
}
