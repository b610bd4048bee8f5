//! An operator with one state table of each kind, behind the windows: it numbers the results of
//! each key and adds them up, which comes out right only if no table loses, repeats or mixes up a
//! row, whatever the faults. It also holds its tables against each other and fails where they
//! disagree.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{
    DataType, Field as Column, Int64Type, Schema, TimeUnit, TimestampMillisecondType,
};
use weir_engine::operator::{OperatorFactory, TableKeys, TableSpec};
use weir_engine::{Batch, Context, EngineError, Operator, Output, Progress, Watermark};
use weir_state::table::{Field, Keyed, OrderField, Ordered, Scan, Table, Timers};

/// How long after its window's start a result is remembered, in milliseconds of event time.
const KEPT: i64 = 5_000;

/// Columns of a window's result that follow what the operator adds: start, end and time.
const WINDOW_COLUMNS: usize = 3;

fn key() -> Vec<Field> {
    vec![Field::new("key", DataType::Int64, false)]
}

/// The operator's tables.
pub(crate) fn tables() -> Vec<TableSpec> {
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let start = OrderField::ascending("start", DataType::Timestamp(TimeUnit::Millisecond, None));
    vec![
        TableSpec::keyed("totals", key(), vec![number("results"), number("rows"), number("kept")]),
        TableSpec::ordered("results", key(), vec![start], vec![number("rows")]),
        TableSpec::timers("forget", key()),
    ]
}

/// Makes the operator's instances.
pub(crate) fn factory() -> Arc<dyn OperatorFactory> {
    Arc::new(|cx: &Context| -> Result<Box<dyn Operator>, EngineError> {
        let groups = cx.groups();
        let [totals, results, forget] =
            tables().try_into().map_err(|_| EngineError::internal("there are three tables"))?;
        Ok(Box::new(Running {
            totals: Keyed::new(totals, groups).map_err(EngineError::internal)?,
            results: Ordered::new(results, groups).map_err(EngineError::internal)?,
            forget: Timers::new(forget, groups).map_err(EngineError::internal)?,
            reached: i64::MIN,
            due: (Vec::new(), Int64Array::from(Vec::<i64>::new())),
        }))
    })
}

struct Running {
    totals: Keyed,
    results: Ordered,
    forget: Timers,
    reached: i64,
    /// Timers that are due and were taken out, with their keys.
    due: (Vec<ArrayRef>, Int64Array),
}

fn check(holds: bool, what: &str) -> Result<(), EngineError> {
    if holds {
        Ok(())
    } else {
        Err(EngineError::internal(format!("state tables disagree: {what}")))
    }
}

impl Running {
    /// Adds results to their keys' totals; gives each its number and the rows so far.
    fn add(&mut self, keys: &ArrayRef, rows: &Int64Array) -> Result<[ArrayRef; 2], EngineError> {
        let mut slots = Vec::new();
        self.totals.resolve(std::slice::from_ref(keys), rows.len(), &mut slots)?;
        let mut add = |column: usize, values: &dyn Fn(usize) -> i64| {
            let mut cells = self.totals.column_mut::<i64>(column).map_err(EngineError::internal)?;
            let added = slots.iter().enumerate().map(|(row, &slot)| {
                let sum = cells.get(slot).unwrap_or_default() + values(row);
                cells.set(slot, sum);
                sum
            });
            Ok::<ArrayRef, EngineError>(Arc::new(added.collect::<Int64Array>()))
        };
        let numbers = add(0, &|_| 1)?;
        let sums = add(1, &|row| rows.value(row))?;
        add(2, &|_| 1)?;
        Ok([numbers, sums])
    }

    /// Holds what is remembered of these keys against their totals and the time.
    fn compare(&mut self, keys: &ArrayRef) -> Result<(), EngineError> {
        let (mut totals, mut results) = (Vec::new(), Vec::new());
        self.totals.lookup(std::slice::from_ref(keys), keys.len(), &mut totals)?;
        self.results.lookup(std::slice::from_ref(keys), keys.len(), &mut results)?;
        let kept = self.totals.column::<i64>(2).map_err(EngineError::internal)?;
        for (&total, &key) in totals.iter().zip(&results) {
            let (mut scan, mut rows) = (Scan::all(key), Vec::new());
            while self.results.scan(&mut scan, 3, &mut rows) {}
            check(
                kept.get(total) == Some(rows.len() as i64),
                "a key has lost results, or has more",
            )?;
            let starts = self.results.orders(&rows)?;
            let starts = starts[0].as_primitive::<TimestampMillisecondType>();
            let in_time = |start: &i64| start.saturating_add(KEPT) > self.reached;
            check(starts.values().iter().all(in_time), "a timer is gone before its time")?;
        }
        Ok(())
    }
}

impl Running {
    /// Takes some of the timers out that are due.
    fn take_due(&mut self) -> Result<Progress, EngineError> {
        self.due = self.forget.due(self.reached, 7)?;
        Ok(if self.due.1.is_empty() { Progress::Done } else { Progress::More })
    }

    /// Forgets their results.
    fn forget_due(&mut self) -> Result<(), EngineError> {
        let (keys, times) = &self.due;
        let starts = times.values().iter().map(|time| time - KEPT).collect::<Vec<_>>();
        let starts: ArrayRef = Arc::new(TimestampMillisecondArray::from(starts));
        let (mut found, mut totals) = (Vec::new(), Vec::new());
        self.results.find(keys, std::slice::from_ref(&starts), times.len(), &mut found)?;
        let is_there = |slot: &u32| *slot != weir_state::key_table::ABSENT;
        check(found.iter().all(is_there), "a timer has come back, or its result is gone")?;
        self.results.remove(keys, &[starts], times.len())?;
        self.totals.resolve(keys, times.len(), &mut totals)?;
        let mut kept = self.totals.column_mut::<i64>(2).map_err(EngineError::internal)?;
        for slot in totals {
            let left = kept.get(slot).unwrap_or_default() - 1;
            kept.set(slot, left);
        }
        Ok(())
    }
}

impl Operator for Running {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.totals, &mut self.results, &mut self.forget]
    }

    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, EngineError> {
        let columns = batch.records().columns();
        let at = columns.len() - WINDOW_COLUMNS;
        let (keys, rows) = (&columns[0], columns[1].as_primitive::<Int64Type>());
        let starts = columns[at].as_primitive::<TimestampMillisecondType>();
        let added = self.add(keys, rows)?;
        let key = std::slice::from_ref(keys);
        self.results.put(key, &columns[at..=at], &columns[1..2], rows.len())?;
        let due = starts.values().iter().map(|start| start + KEPT).collect::<Int64Array>();
        self.forget.set(key, &due)?;
        self.compare(keys)?;

        let mut all = columns.to_vec();
        all.splice(at..at, added);
        let mut fields = batch.records().schema().fields().to_vec();
        let number = |name| Arc::new(Column::new(name, DataType::Int64, false));
        fields.splice(at..at, ["nth", "total"].map(number));
        out.push(Batch::new(RecordBatch::try_new(Arc::new(Schema::new(fields)), all)?));
        Ok(Progress::Done)
    }

    fn keys_of(&mut self, _: usize, batch: &Batch) -> Result<Vec<TableKeys>, EngineError> {
        let (keys, rows) = (vec![Arc::clone(batch.records().column(0))], batch.num_rows());
        Ok(vec![
            TableKeys { table: 0, keys: keys.clone(), rows },
            TableKeys { table: 1, keys, rows },
        ])
    }

    fn on_watermark(
        &mut self,
        _: &mut Context,
        mark: Watermark,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.reached = mark.0;
        self.take_due()
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>, EngineError> {
        let (keys, times) = &self.due;
        let of = |table| TableKeys { table, keys: keys.clone(), rows: times.len() };
        Ok(vec![of(0), of(1)])
    }

    fn resume(&mut self, _: &mut Context, _: &mut Output) -> Result<Progress, EngineError> {
        self.forget_due()?;
        self.take_due()
    }
}
