//! The rows of some keys, sorted: those that frames reach back to, then those that leave.

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMillisecondType;
use weir_state::key_table::ABSENT;
use weir_state::sorted::Strings;
use weir_state::sorted::order::encode_orders;
use weir_state::table::{Ordered, Scan, Table, TableError};

use super::plan::Plan;
use crate::{EventTime, OperatorError};

/// Rows that are looked at together.
const LOOK: usize = 256;

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
                let next = read_key(table, key, passed, &mut slots, &mut times)?;
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
        let (keys, orders) = (table.keys(&slots)?, table.orders(&slots)?);
        let rows = (0..plan.row.len()).map(|column| table.read(column, &slots));
        let columns = plan.join(&keys, &orders, &rows.collect::<Result<Vec<_>, _>>()?);
        let records = RecordBatch::try_new(plan.spec.input.clone(), columns)?;
        let equal = equal_rows(table, &orders, &spans, slots.len())?;
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

/// Adds the rows of a key that the watermark has passed; gives the time of the next one.
fn read_key(
    table: &Ordered,
    key: u32,
    passed: EventTime,
    slots: &mut Vec<u32>,
    times: &mut Vec<EventTime>,
) -> Result<Option<EventTime>, OperatorError> {
    let mut scan = Scan::all(key);
    let mut found = Vec::new();
    loop {
        found.clear();
        let more = table.scan(&mut scan, LOOK, &mut found);
        let orders = table.orders(&found)?;
        let of = orders.first().map(times_of).unwrap_or_default();
        for (&slot, &time) in found.iter().zip(of) {
            if time > passed {
                return Ok(Some(time));
            }
            slots.push(slot);
            times.push(time);
        }
        if !more {
            return Ok(None);
        }
    }
}

/// The first of these rows that waits for a watermark behind the one that it was behind itself.
fn waiting(
    plan: &Plan,
    table: &Ordered,
    slots: &[u32],
    passed: EventTime,
) -> Result<Option<usize>, OperatorError> {
    let Some(column) = plan.behind else { return Ok(None) };
    let behind = table.column::<i64>(column).map_err(TableError::from)?;
    Ok(slots.iter().position(|&slot| behind.get(slot).is_some_and(|mark| mark > passed)))
}

pub(super) fn times_of(column: &ArrayRef) -> &[EventTime] {
    column.as_primitive_opt::<TimestampMillisecondType>().map_or(&[], |times| times.values())
}

/// Where rows that are equal in the order but for their arrival begin and end.
fn equal_rows(
    table: &Ordered,
    orders: &[ArrayRef],
    spans: &[Span],
    rows: usize,
) -> Result<Vec<(usize, usize)>, OperatorError> {
    let fields = table.spec().order_fields();
    let width = fields.len().saturating_sub(1);
    let mut encoded = Strings::with_capacity(rows, 16);
    encode_orders(&fields[..width], &orders[..width], rows, &mut encoded)
        .map_err(OperatorError::internal)?;
    let mut equal = vec![(0, 0); rows];
    for span in spans {
        let mut start = span.start;
        for row in span.start..span.end {
            if row + 1 == span.end || encoded.get(row + 1) != encoded.get(row) {
                equal[start..=row].fill((start, row + 1));
                start = row + 1;
            }
        }
    }
    Ok(equal)
}

/// The least event time of each key among some rows.
pub(super) fn earliest(
    numbers: &[u32],
    times: &[EventTime],
    keys: usize,
) -> Vec<Option<EventTime>> {
    let mut earliest = vec![None; keys];
    for (&number, &time) in numbers.iter().zip(times) {
        let known: &mut Option<EventTime> = &mut earliest[number as usize];
        *known = Some(known.map_or(time, |known| known.min(time)));
    }
    earliest
}
