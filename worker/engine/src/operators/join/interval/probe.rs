//! What rows meet on the other side within their reach, a block of pairs at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use weir_state::key_table::ABSENT;
use weir_state::table::Edge;

use super::super::emit::Given;
use super::super::fold::Moved;
use super::super::plan::Plan;
use super::super::probe::Pairs;
use super::super::store::{Cursor, Store};
use crate::operators::rows::take_all;
use crate::{Batch, OperatorError, RowKind};

/// Pairs that are looked at in one step.
const PAIRS: usize = 8_192;

/// Rows that came, on their way past the other side.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) side: usize,
    rows: Moved,
    /// Per row the slot of its key on the other side, and where its matches begin and end there.
    others: Vec<u32>,
    from: Vec<Edge>,
    to: Vec<Edge>,
    /// The next row, where reading stands, and how many matches it has so far.
    row: usize,
    cursor: Option<Cursor>,
    matched: i64,
}

/// What a step has found.
pub(super) struct Found {
    pub(super) given: Vec<Batch>,
    /// Keys and times of rows that have no match yet.
    pub(super) unmatched: Option<(Vec<ArrayRef>, Int64Array)>,
    pub(super) done: bool,
}

fn times_of(rows: &Moved) -> Result<&Int64Array, OperatorError> {
    let times = rows.columns.last().and_then(|times| times.as_primitive_opt::<Int64Type>());
    times.ok_or_else(|| OperatorError::internal("a join by time lacks its times"))
}

impl Probe {
    pub(super) fn new(
        side: usize,
        rows: Moved,
        others: Vec<u32>,
        other: &Store,
        least: i64,
        most: i64,
    ) -> Result<Self, OperatorError> {
        let edges = |by: i64| {
            let times = times_of(&rows)?.unary::<_, Int64Type>(|time| time.saturating_add(by));
            Ok::<_, OperatorError>(other.edges(&[Arc::new(times) as ArrayRef], rows.len())?)
        };
        let (from, to) = (edges(least)?, edges(most)?);
        Ok(Self { side, rows, others, from, to, row: 0, cursor: None, matched: 0 })
    }

    pub(super) fn step(
        &mut self,
        plan: &Plan,
        stores: &mut [Store; 2],
    ) -> Result<Found, OperatorError> {
        let (own, other) = (&plan.sides[self.side], &plan.sides[1 - self.side]);
        let first = self.row;
        let mut pairs = Pairs::default();
        while self.row < self.rows.len() && pairs.own.len() < PAIRS {
            let (row, key) = (self.row, self.others[self.row]);
            if key != ABSENT {
                let mut cursor = self
                    .cursor
                    .take()
                    .unwrap_or_else(|| Cursor::between(key, &self.from[row], &self.to[row]));
                let start = pairs.slots.len();
                let limit = PAIRS - pairs.own.len();
                let more = stores[1 - self.side].scan(&mut cursor, limit, &mut pairs.slots);
                for slot in start..pairs.slots.len() {
                    pairs.own.push(row as u32);
                    pairs.other.push(slot as u32);
                }
                if more {
                    self.cursor = Some(cursor);
                    break;
                }
            }
            self.row += 1;
        }
        let kept = pairs.test(plan, self.side, &self.rows.columns, &stores[1 - self.side])?;
        let times = stores[1 - self.side].counts(other.count, &pairs.slots)?;
        // Rows of which this step has seen the last pair; before it, pairs of earlier steps.
        let mut matched = vec![0; self.row - first + 1];
        matched[0] = self.matched;
        let mut given = Given::default();
        let mut found = vec![false; pairs.slots.len()];
        for (pair, (&row, &slot)) in pairs.own.iter().zip(&pairs.other).enumerate() {
            if kept.as_ref().is_some_and(|kept| !kept[pair]) {
                continue;
            }
            found[slot as usize] = true;
            matched[row as usize - first] += 1;
            let times = times[slot as usize] * self.rows.times[row as usize];
            given.push(RowKind::Insert, times, Some(row), Some(slot));
        }
        self.matched = matched[self.row - first];
        let mut unmatched = Vec::new();
        if own.alone {
            for row in first..self.row {
                match (matched[row - first], self.rows.slots[row]) {
                    // Nothing that comes can match it.
                    (0, ABSENT) => {
                        let times = self.rows.times[row];
                        given.push(RowKind::Insert, times, Some(row as u32), None);
                    }
                    (0, _) => unmatched.push(row as u32),
                    _ => {}
                }
            }
        }
        if let Some(column) = own.matches {
            let has = |row: &usize| matched[row - first] > 0 && self.rows.slots[*row] != ABSENT;
            let has: Vec<usize> = (first..self.row).filter(has).collect();
            stores[self.side]
                .set_counts(column, has.iter().map(|&row| (self.rows.slots[row], 1)))?;
        }
        if let Some(column) = other.matches {
            let found = pairs.slots.iter().zip(&found).filter(|(_, found)| **found);
            stores[1 - self.side].set_counts(column, found.map(|(&slot, _)| (slot, 1)))?;
        }
        let unmatched = UInt32Array::from(unmatched);
        let timers = if unmatched.is_empty() {
            None
        } else {
            let keys: Vec<ArrayRef> =
                own.keys.iter().map(|&key| self.rows.columns[key].clone()).collect();
            let times = take(times_of(&self.rows)?, &unmatched, None)?;
            let times = times.as_primitive::<Int64Type>().clone();
            Some((take_all(&keys, &unmatched)?, times))
        };
        let given = given.batches(plan, self.side, &self.rows.columns, || {
            stores[1 - self.side].rows(other, &pairs.slots)
        })?;
        Ok(Found { given, unmatched: timers, done: self.row == self.rows.len() })
    }
}
