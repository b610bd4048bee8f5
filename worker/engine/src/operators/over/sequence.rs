//! The rows of some keys, sorted: those that frames reach back to, then those that leave.

use arrow::array::{RecordBatch, UInt32Array};
use weir_state::key_table::ABSENT;
use weir_state::table::{Ordered, TableError};

use super::plan::Plan;
use crate::operators::in_order::read_key;
use crate::{EventTime, OperatorError};

/// The rows of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    /// The first one that leaves.
    pub(super) leaving: usize,
    pub(super) end: usize,
    /// When the next row is due that the watermark has not passed.
    pub(super) next: Option<EventTime>,
}

/// Rows of keys, one key after the other.
pub(super) struct Sequence {
    pub(super) slots: Vec<u32>,
    /// The input's columns.
    pub(super) records: RecordBatch,
    pub(super) spans: Vec<Span>,
    pub(super) times: Vec<EventTime>,
    /// Per row where the rows begin, and end, that are equal to it in the order.
    pub(super) equal: Vec<(usize, usize)>,
}

impl Sequence {
    /// The rows of keys in these slots that the watermark has passed; `last`: per key the last time
    /// whose rows have left.
    pub(super) fn read(
        plan: &Plan,
        table: &Ordered,
        keys: &[u32],
        last: &[EventTime],
        passed: EventTime,
    ) -> Result<Self, OperatorError> {
        let (mut slots, mut times, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        for (&key, &last) in keys.iter().zip(last) {
            let start = slots.len();
            let next = if key == ABSENT {
                None
            } else {
                let next = read_key(table, key, passed, &mut slots, &mut times);
                let waits = waiting(plan, table, &slots[start..], passed)?;
                match waits.map(|at| times[start + at]) {
                    None => next,
                    Some(time) => {
                        // Rows of one time leave together.
                        let leave = times[start..].partition_point(|other| *other < time);
                        slots.truncate(start + leave);
                        times.truncate(start + leave);
                        Some(passed.saturating_add(1))
                    }
                }
            };
            let gone = times[start..].partition_point(|time| *time <= last);
            spans.push(Span { start, leaving: start + gone, end: slots.len(), next });
        }
        let records = plan.layout.read(table, &slots)?;
        let equal = equal_rows(table, &spans, &slots);
        Ok(Self { slots, records, spans, times, equal })
    }

    /// The rows that leave, in order.
    pub(super) fn leaving(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().flat_map(|span| span.leaving..span.end)
    }

    /// Number of rows that leave.
    pub(super) fn len(&self) -> usize {
        self.spans.iter().map(|span| span.end - span.leaving).sum()
    }

    /// These rows.
    pub(super) fn take(&self, rows: &[usize]) -> Result<RecordBatch, OperatorError> {
        let rows: UInt32Array = rows.iter().map(|&row| row as u32).collect();
        Ok(arrow::compute::take_record_batch(&self.records, &rows)?)
    }
}

/// The first of these rows that waits for a watermark behind the one that it was behind itself.
fn waiting(
    plan: &Plan,
    table: &Ordered,
    slots: &[u32],
    passed: EventTime,
) -> Result<Option<usize>, OperatorError> {
    let Some(column) = plan.layout.behind else { return Ok(None) };
    let behind = table.column::<i64>(column).map_err(TableError::from)?;
    Ok(slots.iter().position(|&slot| behind.get(slot).is_some_and(|mark| mark > passed)))
}

/// Where rows that are equal in the order but for their arrival begin and end.
fn equal_rows(table: &Ordered, spans: &[Span], slots: &[u32]) -> Vec<(usize, usize)> {
    let is_equal = |row: usize, other: usize| {
        table.order_before_last(slots[row]) == table.order_before_last(slots[other])
    };
    let mut equal = vec![(0, 0); slots.len()];
    for span in spans {
        let mut start = span.start;
        for row in span.start..span.end {
            if row + 1 == span.end || !is_equal(row, row + 1) {
                equal[start..=row].fill((start, row + 1));
                start = row + 1;
            }
        }
    }
    equal
}
