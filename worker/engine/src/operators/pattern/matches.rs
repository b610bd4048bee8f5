//! Matches that were found, and the rows that they give.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::take;

use super::masks::further;
use super::plan::Plan;
use super::spec::{Of, Output, Place, Value, What, compiled};
use crate::OperatorError;
use crate::aggregate::AggregateCall;
use crate::operators::rows::take_all;

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// What a row of a match is taken as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MatchedRow {
    pub(super) variable: usize,
    /// Left out of what ALL ROWS gives.
    pub(super) excluded: bool,
}

/// Matches among the same rows.
#[derive(Default)]
pub(super) struct Matches {
    matches: Vec<Match>,
    /// Rows of all of them.
    rows: Vec<MatchedRow>,
}

struct Match {
    /// Its first row.
    start: usize,
    /// Its rows among all.
    rows: Range<usize>,
    /// The rows of its key.
    span: Range<usize>,
    number: i64,
}

/// What a row that leaves is of: a match, and its row there.
#[derive(Clone, Copy)]
struct Given {
    of: usize,
    row: usize,
}

impl Matches {
    pub(super) fn add(
        &mut self,
        start: usize,
        matched: &[MatchedRow],
        span: &Range<usize>,
        number: i64,
    ) {
        let from = self.rows.len();
        self.rows.extend_from_slice(matched);
        let rows = from..self.rows.len();
        self.matches.push(Match { start, rows, span: span.clone(), number });
    }

    /// Number of their rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows that they give.
    pub(super) fn give(&self, plan: &Plan, records: &RecordBatch) -> Result<RecordBatch> {
        let mut given = Vec::new();
        for (of, found) in self.matches.iter().enumerate() {
            let rows = found.rows.len();
            if plan.spec.all_rows {
                let shown = |row: &usize| !self.rows[found.rows.start + row].excluded;
                given.extend((0..rows).filter(shown).map(|row| Given { of, row }));
            } else if let Some(row) = rows.checked_sub(1) {
                given.push(Given { of, row });
            }
        }
        let values = plan.spec.measures.values.iter();
        let values = values.map(|value| self.column(plan, records, value, &given));
        let options = RecordBatchOptions::new().with_row_count(Some(given.len()));
        let values = RecordBatch::try_new_with_options(
            Arc::clone(&plan.measures),
            values.collect::<Result<Vec<_>>>()?,
            &options,
        )?;
        let measures = (plan.spec.measures.compute)(&values)?;
        let rows: UInt32Array =
            given.iter().map(|g| Some((self.matches[g.of].start + g.row) as u32)).collect();
        let mut columns = Vec::with_capacity(plan.spec.output.len());
        for column in &plan.spec.output {
            columns.push(match column.of {
                Output::Input(at) => take(records.column(at), &rows, None)?,
                Output::Measure(at) => Arc::clone(measures.get(at).ok_or_else(|| {
                    OperatorError::internal("a measure that is not computed is given")
                })?),
            });
        }
        Ok(RecordBatch::try_new_with_options(Arc::clone(&plan.output), columns, &options)?)
    }

    fn matched(&self, found: &Match) -> &[MatchedRow] {
        &self.rows[found.rows.clone()]
    }

    /// A value of each row that leaves.
    fn column(
        &self,
        plan: &Plan,
        records: &RecordBatch,
        value: &Value,
        given: &[Given],
    ) -> Result<ArrayRef> {
        match value {
            Value::MatchNumber => {
                let numbers = given.iter().map(|g| self.matches[g.of].number);
                Ok(Arc::new(Int64Array::from_iter_values(numbers)))
            }
            Value::Row { what, place } => {
                let rows = self.places(place, given);
                Ok(match what {
                    What::Column(column) => {
                        let row = |(g, row): (&Given, &Option<usize>)| {
                            let found = &self.matches[g.of];
                            let row = further(found.start + (*row)?, place.shift, &found.span)?;
                            Some(row as u32)
                        };
                        let rows: UInt32Array = given.iter().zip(&rows).map(row).collect();
                        take(records.column(*column), &rows, None)?
                    }
                    What::Classifier => {
                        let name = |(g, row): (&Given, &Option<usize>)| {
                            let matched = self.matched(&self.matches[g.of]);
                            let inside = 0..matched.len();
                            let row = further((*row)?, place.shift, &inside)?;
                            Some(plan.spec.variables[matched[row].variable].name.as_str())
                        };
                        Arc::new(given.iter().zip(&rows).map(name).collect::<StringArray>())
                    }
                })
            }
            Value::Aggregate { call, of, whole } => {
                self.aggregate(plan, records, call, of, *whole, given)
            }
        }
    }

    /// Per row that leaves, the row of its match that a place names.
    fn places(&self, place: &Place, given: &[Given]) -> Vec<Option<usize>> {
        let mut places = Vec::with_capacity(given.len());
        let (mut known, mut rows): (Option<usize>, Vec<usize>) = (None, Vec::new());
        for g in given {
            let matched = self.matched(&self.matches[g.of]);
            if known != Some(g.of) {
                rows.clear();
                let named = |row: &usize| place.of.has(matched[*row].variable);
                rows.extend((0..matched.len()).filter(named));
                known = Some(g.of);
            }
            let seen = match place.whole {
                true => rows.len(),
                false => rows.partition_point(|row| *row <= g.row),
            };
            let offset = place.offset as usize;
            let at = if place.last { seen.checked_sub(offset + 1) } else { Some(offset) };
            places.push(at.filter(|at| *at < seen).and_then(|at| rows.get(at).copied()));
        }
        places
    }

    fn aggregate(
        &self,
        plan: &Plan,
        records: &RecordBatch,
        call: &AggregateCall,
        of: &Of,
        whole: bool,
        given: &[Given],
    ) -> Result<ArrayRef> {
        let call = compiled(call, &plan.spec.input)?;
        let partial = call.partial(records)?;
        let mut accumulator = call.aggregate().accumulator()?;
        if whole || !plan.spec.all_rows {
            accumulator.grow(self.matches.len());
            let (mut slots, mut rows) = (Vec::new(), Vec::new());
            for (slot, found) in (0_u32..).zip(&self.matches) {
                for (at, row) in self.matched(found).iter().enumerate() {
                    if of.has(row.variable) {
                        slots.push(slot);
                        rows.push((found.start + at) as u32);
                    }
                }
            }
            accumulator.merge(&slots, &take_all(&partial, &UInt32Array::from(rows))?)?;
            return accumulator.finish(&given.iter().map(|g| g.of as u32).collect::<Vec<_>>());
        }
        // State behind each row: that behind the row before, and what it adds.
        let (mut slots, mut next) = (Vec::new(), 0_u32);
        for found in &self.matches {
            let mut before: Option<u32> = None;
            for (at, row) in self.matched(found).iter().enumerate() {
                if before.is_none() || of.has(row.variable) {
                    let slot = next;
                    next += 1;
                    accumulator.grow(next as usize);
                    if let Some(before) = before {
                        let state = accumulator.export(&[before])?;
                        accumulator.merge(&[slot], &state)?;
                    }
                    if of.has(row.variable) {
                        let row = UInt32Array::from(vec![(found.start + at) as u32]);
                        accumulator.merge(&[slot], &take_all(&partial, &row)?)?;
                    }
                    before = Some(slot);
                }
                slots.push(before.unwrap_or_default());
            }
        }
        let behind = |g: &Given| slots[self.matches[g.of].rows.start + g.row];
        accumulator.finish(&given.iter().map(behind).collect::<Vec<_>>())
    }
}
