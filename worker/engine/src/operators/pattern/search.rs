//! The search for a match that begins at a row.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, new_null_array};

use super::automaton::{Step, Taken};
use super::masks::{Masks, further, holds};
use super::matches::MatchedRow;
use super::plan::Plan;
use super::spec::{Of, Place, Value, What, compiled};
use crate::aggregate::Accumulator;
use crate::operators::rows::take_all;
use crate::{EventTime, OperatorError};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows that a search tries at most, rows that fail among them: a bound on patterns with very
/// many ways to fit the same rows.
pub(super) const MOST_TRIED: u64 = 1 << 24;

/// What a search has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Match,
    Nothing,
    /// It asks for a row that has not come.
    Open,
}

/// Which rows a search may see.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The rows of the key.
    pub(super) span: Range<usize>,
    /// Those from here on are only looked at from others.
    pub(super) to: usize,
    /// Rows of this time or later are in no match.
    pub(super) limit: Option<EventTime>,
    /// Whether no row that it may see is still to come.
    pub(super) closed: bool,
    /// The number that a match would have.
    pub(super) number: i64,
}

/// Searches among rows of some keys.
pub(super) struct Search<'a> {
    plan: &'a Plan,
    records: &'a RecordBatch,
    times: &'a [EventTime],
    masks: &'a Masks,
    tallies: Vec<Tally>,
    start: usize,
    /// What the rows from the first one on are taken as.
    path: Vec<MatchedRow>,
    /// Per set of variables that conditions look at, its rows of the path.
    of_sets: Vec<Vec<usize>>,
    /// Ways that are still to be tried: where they go on, behind how many rows.
    others: Vec<(usize, usize)>,
    /// Where ways have parted that failed.
    failed: HashSet<(usize, usize)>,
    tried: u64,
}

/// An aggregate over the rows of a path.
struct Tally {
    accumulator: Box<dyn Accumulator>,
    /// Each row's partial result.
    partial: Vec<ArrayRef>,
    /// Whether rows of a variable count.
    counts: Vec<bool>,
    /// Where the state is behind so many rows.
    slots: Vec<u32>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        records: &'a RecordBatch,
        times: &'a [EventTime],
        masks: &'a Masks,
    ) -> Result<Self> {
        let mut tallies = Vec::with_capacity(plan.tallies.len());
        for (call, of) in &plan.tallies {
            let call = compiled(call, &plan.spec.input)?;
            let mut accumulator = call.aggregate().accumulator()?;
            accumulator.grow(1);
            let counts = (0..plan.spec.variables.len()).map(|v| of.has(v)).collect();
            let partial = call.partial(records)?;
            tallies.push(Tally { accumulator, partial, counts, slots: vec![0] });
        }
        Ok(Self {
            plan,
            records,
            times,
            masks,
            tallies,
            start: 0,
            path: Vec::new(),
            of_sets: vec![Vec::new(); plan.sets.len()],
            others: Vec::new(),
            failed: HashSet::new(),
            tried: 0,
        })
    }

    /// The rows of the match that was found.
    pub(super) fn matched(&self) -> &[MatchedRow] {
        &self.path
    }

    /// Searches for a match that begins at a row.
    pub(super) fn run(&mut self, start: usize, seen: &Seen) -> Result<Found> {
        // Before it begins elsewhere: what is taken back is told by where it stands.
        self.back_to(0);
        self.start = start;
        self.others.clear();
        self.failed.clear();
        self.tried = 0;
        let memory = self.plan.is_alone();
        let mut at = 0;
        loop {
            let goes_on = match self.plan.steps[at] {
                Step::Accept => return Ok(Found::Match),
                Step::Jump(to) => Some(to),
                Step::Split(first, second) => {
                    let known = memory && !self.failed.insert((at, self.path.len()));
                    (!known).then(|| {
                        self.others.push((second, self.path.len()));
                        first
                    })
                }
                Step::Take(taken) => match self.take(taken, seen)? {
                    Taking::Yes => Some(at + 1),
                    Taking::No => None,
                    Taking::NotYet => return Ok(Found::Open),
                },
                Step::Choose(taken, exit) => match self.take(taken, seen)? {
                    Taking::Yes => Some(at + 1),
                    Taking::No => Some(exit),
                    Taking::NotYet => return Ok(Found::Open),
                },
            };
            at = match (goes_on, self.others.last()) {
                (Some(next), _) => next,
                (None, None) => return Ok(Found::Nothing),
                (None, Some(&(other, rows))) => {
                    self.others.pop();
                    self.back_to(rows);
                    other
                }
            };
        }
    }

    /// Takes the next row as one of a variable, if it can be.
    fn take(&mut self, taken: Taken, seen: &Seen) -> Result<Taking> {
        self.tried += 1;
        if self.tried > MOST_TRIED {
            return Err(OperatorError::user(format!(
                "MATCH_RECOGNIZE: more than {MOST_TRIED} rows were tried for one match; make the conditions of DEFINE exclude each other, or let WITHIN end matches earlier"
            )));
        }
        let row = self.start + self.path.len();
        if row >= seen.span.end {
            return Ok(if seen.closed { Taking::No } else { Taking::NotYet });
        }
        if seen.limit.is_some_and(|limit| self.times[row] >= limit) {
            return Ok(Taking::No);
        }
        if row >= seen.to {
            return Ok(if seen.closed { Taking::No } else { Taking::NotYet });
        }
        if self.masks[taken.variable].as_ref().is_some_and(|mask| !mask.value(row)) {
            return Ok(Taking::No);
        }
        self.push(taken);
        let plan = self.plan;
        for planned in &plan.within[taken.variable] {
            let mut columns = Vec::with_capacity(planned.check.values.len());
            for value in &planned.check.values {
                columns.push(self.value(value, seen)?);
            }
            if !holds(planned, columns, 1)?.value(0) {
                self.back_to(self.path.len() - 1);
                return Ok(Taking::No);
            }
        }
        Ok(Taking::Yes)
    }

    fn push(&mut self, taken: Taken) {
        for (of, rows) in self.plan.sets.iter().zip(&mut self.of_sets) {
            if of.has(taken.variable) {
                rows.push(self.start + self.path.len());
            }
        }
        self.path.push(MatchedRow { variable: taken.variable, excluded: taken.excluded });
    }

    fn back_to(&mut self, rows: usize) {
        self.path.truncate(rows);
        let end = self.start + rows;
        for rows in &mut self.of_sets {
            let kept = rows.partition_point(|row| *row < end);
            rows.truncate(kept);
        }
        for tally in &mut self.tallies {
            tally.slots.truncate(rows + 1);
        }
    }

    /// A value as the last row of the path sees it.
    fn value(&mut self, value: &Value, seen: &Seen) -> Result<ArrayRef> {
        Ok(match value {
            Value::MatchNumber => Arc::new(Int64Array::from(vec![seen.number])),
            Value::Row { what, place } => {
                let row = self.row(place);
                match (what, row.and_then(|row| further(row, place.shift, &seen.span))) {
                    (What::Column(column), Some(row)) => self.records.column(*column).slice(row, 1),
                    (What::Column(column), None) => {
                        new_null_array(self.records.column(*column).data_type(), 1)
                    }
                    (What::Classifier, row) => {
                        let row = row.and_then(|row| self.path.get(row.checked_sub(self.start)?));
                        let name = row.map(|row| &self.plan.spec.variables[row.variable].name);
                        Arc::new(StringArray::from(vec![name.map(String::as_str)]))
                    }
                }
            }
            Value::Aggregate { call, of, .. } => {
                let found = self.plan.tallies.iter().position(|(c, o)| (c, o) == (call, of));
                let tally = found.and_then(|at| self.tallies.get_mut(at));
                let tally = tally.ok_or_else(|| OperatorError::internal("no such aggregate"))?;
                tally.result(&self.path, self.start)?
            }
        })
    }

    /// The row of the path that a place names.
    fn row(&self, place: &Place) -> Option<usize> {
        let offset = place.offset as usize;
        if place.of == Of::All {
            let rows = self.path.len();
            let at = if place.last { rows.checked_sub(offset + 1)? } else { offset };
            return (at < rows).then_some(self.start + at);
        }
        let set = self.plan.sets.iter().position(|of| *of == place.of)?;
        let rows = &self.of_sets[set];
        let at = if place.last { rows.len().checked_sub(offset + 1)? } else { offset };
        rows.get(at).copied()
    }
}

enum Taking {
    Yes,
    No,
    NotYet,
}

impl Tally {
    /// The aggregate over the rows of a path that begins at `start`.
    fn result(&mut self, path: &[MatchedRow], start: usize) -> Result<ArrayRef> {
        let known = self.slots.len() - 1;
        for (at, row) in path.iter().enumerate().skip(known) {
            let before = self.slots[at];
            if !self.counts[row.variable] {
                self.slots.push(before);
                continue;
            }
            let slot = at as u32 + 1;
            self.accumulator.grow(at + 2);
            let state = self.accumulator.export(&[before])?;
            self.accumulator.reset(&[slot]);
            self.accumulator.merge(&[slot], &state)?;
            let row = UInt32Array::from(vec![(start + at) as u32]);
            self.accumulator.merge(&[slot], &take_all(&self.partial, &row)?)?;
            self.slots.push(slot);
        }
        self.accumulator.finish(&[self.slots[path.len()]])
    }
}

impl Of {
    /// Whether rows of a variable are among them.
    pub(super) fn has(&self, variable: usize) -> bool {
        match self {
            Self::All => true,
            Self::Variables(of) => of.contains(&variable),
        }
    }
}
