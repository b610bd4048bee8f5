//! Rows of a key that wait in the order of event time: how they are kept, put and read again.
//!
//! A key's rows are one ordered table: by event time, by what else they are sorted by, and by
//! `$arrival`, so that rows of one time that nothing else sorts stay as they came.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType};
use weir_state::table::{self, OrderField, Ordered, Scan, TableSpec, Timers};

use super::rank::spec::SortColumn;
use super::rows::{BatchKeys, take_all};
use crate::{Batch, EventTime, OperatorError};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows that are looked at together.
const LOOK: usize = 256;

/// Where an input's columns are in the table of its rows.
#[derive(Debug)]
pub(super) struct InOrder {
    pub(super) input: SchemaRef,
    /// Key columns, as numbers of the input's.
    pub(super) keys: Vec<usize>,
    /// The columns of the order but `$arrival`, as numbers of the input's; the time is the first.
    order: Vec<usize>,
    /// The other columns.
    row: Vec<usize>,
    /// Where the table of rows has the watermark that a row was behind, if it is kept.
    pub(super) behind: Option<usize>,
    /// The table of rows.
    pub(super) rows: TableSpec,
    /// When keys are due.
    pub(super) due: TableSpec,
}

impl InOrder {
    /// Rows of `input` by `keys`, in the order of `time`, then of `order`; `what` they are for is
    /// said where that cannot be.
    pub(super) fn new(
        what: &str,
        input: &SchemaRef,
        key_columns: &[usize],
        time: usize,
        order_columns: &[SortColumn],
    ) -> Result<Self> {
        let field = |column: usize| {
            input.fields().get(column).cloned().ok_or_else(|| {
                OperatorError::internal(format!("{what} reads column {column}, which is not there"))
            })
        };
        if !matches!(field(time)?.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _)) {
            return Err(OperatorError::user(format!(
                "{what} needs an event time of type TIMESTAMP(3)"
            )));
        }
        if key_columns.contains(&time) {
            return Err(OperatorError::user(format!(
                "{what} is parted by the event time that it is ordered by; leave one of them out"
            )));
        }
        let mut keys = Vec::new();
        for &key in key_columns {
            let field = field(key)?;
            keys.push(table::Field::new(field.name(), field.data_type().clone(), true));
        }
        let time_field = field(time)?;
        let mut order = vec![time];
        let first = OrderField::ascending(time_field.name(), time_field.data_type().clone());
        let mut orders = vec![first];
        for &SortColumn { column, descending, nulls_first } in order_columns {
            if key_columns.contains(&column) || order.contains(&column) {
                continue;
            }
            let of = field(column)?;
            order.push(column);
            let of = table::Field::new(of.name(), of.data_type().clone(), true);
            orders.push(OrderField { field: of, descending, nulls_first });
        }
        orders.push(OrderField::ascending("$arrival", DataType::Int64));
        let is_row = |column: &usize| !key_columns.contains(column) && !order.contains(column);
        let row: Vec<usize> = (0..input.fields().len()).filter(is_row).collect();
        let mut columns = Vec::new();
        for &column in &row {
            let field = field(column)?;
            columns.push(table::Field::new(field.name(), field.data_type().clone(), true));
        }
        Ok(Self {
            input: Arc::clone(input),
            keys: key_columns.to_vec(),
            order,
            row,
            behind: None,
            rows: TableSpec::ordered("rows", keys.clone(), orders, columns),
            due: TableSpec::timers("due", keys),
        })
    }

    /// The same, of which each row's watermark is kept that it was behind when it was read.
    pub(super) fn with_behind(mut self) -> Self {
        self.behind = Some(self.row.len());
        self.rows.columns.push(table::Field::new("$behind", DataType::Int64, true));
        self
    }

    /// A batch's keys.
    pub(super) fn keys(&self, batch: &Batch) -> Vec<ArrayRef> {
        self.keys.iter().map(|&key| Arc::clone(batch.records().column(key))).collect()
    }

    /// A batch's event times.
    pub(super) fn times<'a>(&self, batch: &'a Batch) -> Result<&'a [EventTime]> {
        let column = self.order.first().map(|&time| batch.records().column(time));
        let times = column
            .and_then(|times| times.as_primitive_opt::<TimestampMillisecondType>())
            .filter(|times| times.null_count() == 0)
            .ok_or_else(|| {
                OperatorError::user(
                    "a row has no event time (NULL); filter such rows out with WHERE … IS NOT NULL",
                )
            })?;
        Ok(times.values())
    }

    /// Puts these rows of a batch into the table, each behind those that are equal to it in the
    /// order, and makes their keys due. The keys must be in memory.
    pub(super) fn put(
        &self,
        rows: &mut Ordered,
        due: &mut Timers,
        batch: &Batch,
        keys: &BatchKeys,
        wait: &UInt32Array,
    ) -> Result<()> {
        let pick = |columns: &[usize]| -> Result<Vec<ArrayRef>> {
            let columns = columns.iter().map(|&c| Arc::clone(batch.records().column(c)));
            take_all(&columns.collect::<Vec<_>>(), wait)
        };
        let numbers: Vec<u32> =
            wait.values().iter().map(|&row| keys.numbers[row as usize]).collect();
        let key_columns = pick(&self.keys)?;
        let order = pick(&self.order)?;
        let first = earliest(&numbers, order.first().map_or(&[], times_of), keys.len);
        let owners: UInt32Array =
            (0..).zip(&first).filter(|(_, time)| time.is_some()).map(|(key, _)| key).collect();
        let times: Int64Array = first.iter().flatten().map(|time| Some(*time)).collect();
        due.set(&take_all(&keys.keys, &owners)?, &times)?;
        let mut row = pick(&self.row)?;
        if self.behind.is_some() {
            let behind = batch.behind().cloned().map(|behind| Arc::new(behind) as ArrayRef);
            let nothing = || new_null_array(&DataType::Int64, batch.num_rows());
            row.push(take(&behind.unwrap_or_else(nothing), wait, None)?);
        }
        Ok(rows.append(&key_columns, &order, &row, wait.len())?)
    }

    /// The rows in these slots.
    pub(super) fn read(&self, table: &Ordered, slots: &[u32]) -> Result<RecordBatch> {
        let (keys, orders) = (table.keys(slots)?, table.orders(slots)?);
        let rows = (0..self.row.len()).map(|column| table.read(column, slots));
        let rows = rows.collect::<Result<Vec<ArrayRef>, _>>()?;
        let find = |list: &[usize], column| list.iter().position(|&known| known == column);
        let column = |column: usize| {
            if let Some(at) = find(&self.keys, column) {
                return keys.get(at).cloned();
            }
            match find(&self.order, column) {
                Some(at) => orders.get(at).cloned(),
                None => find(&self.row, column).and_then(|at| rows.get(at).cloned()),
            }
        };
        let columns = (0..self.input.fields().len()).filter_map(column).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.input), columns)?)
    }
}

/// Adds the rows of a key that are not later than `passed`; gives the time of the next one.
pub(super) fn read_key(
    table: &Ordered,
    key: u32,
    passed: EventTime,
    slots: &mut Vec<u32>,
    times: &mut Vec<EventTime>,
) -> Option<EventTime> {
    let mut scan = Scan::all(key);
    let mut found = Vec::new();
    loop {
        found.clear();
        let more = table.scan(&mut scan, LOOK, &mut found);
        for &slot in &found {
            let time = table.first_order(slot);
            if time > passed {
                return Some(time);
            }
            slots.push(slot);
            times.push(time);
        }
        if !more {
            return None;
        }
    }
}

fn times_of(column: &ArrayRef) -> &[EventTime] {
    column.as_primitive_opt::<TimestampMillisecondType>().map_or(&[], |times| times.values())
}

/// The least event time of each key among some rows.
fn earliest(numbers: &[u32], times: &[EventTime], keys: usize) -> Vec<Option<EventTime>> {
    let mut earliest = vec![None; keys];
    for (&number, &time) in numbers.iter().zip(times) {
        let known: &mut Option<EventTime> = &mut earliest[number as usize];
        *known = Some(known.map_or(time, |known| known.min(time)));
    }
    earliest
}
