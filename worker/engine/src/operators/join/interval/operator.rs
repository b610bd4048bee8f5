//! The operator: state, time, and what happens at a watermark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, filter_record_batch, max};
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use weir_state::key_table::ABSENT;
use weir_state::table::{self, Expiry, Groups, SpecError, Table, TableSpec, Timers};

use super::super::emit::Given;
use super::super::fold::{Fold, Moved};
use super::super::plan::{Plan, Side};
use super::super::spec::{IntervalJoin as Spec, Join, JoinInput, TimedInput};
use super::super::store::{Cursor, Store};
use super::probe::Probe;
use crate::aggregate::InputRows;
use crate::operator::TableKeys;
use crate::operators::group::batch::BatchGroups;
use crate::operators::rows::{gone, take_all};
use crate::{
    Batch, Context, Operator, OperatorError, Output, Progress, Restored, RowKind, Watermark,
};

/// Timers that are dealt with in one step.
const DUE: usize = 1_024;

/// A join by time, of one subtask.
#[derive(Debug)]
pub struct IntervalJoin {
    plan: Plan,
    /// How much later a row of the other side may be than one of this and match it, per side.
    reach: [i64; 2],
    stores: [Store; 2],
    /// When rows of a side are given that have found no match by then.
    timers: [Option<Timers>; 2],
    numbers: BatchGroups,
    /// The event time of each side, and what is added to it.
    times: [(usize, i64); 2],
    leaves_late: bool,
    /// The latest time of each side's rows that this run knows of.
    latest: [i64; 2],
    work: Option<Work>,
}

#[derive(Debug)]
enum Work {
    /// Rows of a batch look for matches.
    Probe(Probe),
    /// A watermark passes: rows of a side that are due, by key and time; none are known yet.
    Due { mark: Watermark, side: usize, keys: Vec<ArrayRef>, times: Int64Array },
}

/// The time as a column of its own, behind the input's.
fn timed(schema: &SchemaRef) -> SchemaRef {
    let time = Arc::new(Field::new("$time", DataType::Int64, true));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([time]).collect::<Vec<_>>()))
}

/// The plan of a join of all rows, with rows in the order of their times.
fn plan(spec: &Spec) -> Result<Plan, OperatorError> {
    let input = |input: &TimedInput| JoinInput {
        schema: Arc::clone(&input.schema),
        rows: InputRows::Appended,
        keys: input.keys.clone(),
        unique: None,
        ttl: None,
    };
    let mut plan = Plan::new(&Join {
        kind: spec.kind,
        left: input(&spec.left),
        right: input(&spec.right),
        null_safe: spec.null_safe.clone(),
        condition: spec.condition.clone(),
    })?;
    for side in &mut plan.sides {
        let time = side.schema.fields().len();
        let order = std::iter::once(time).chain(side.order.iter().copied()).collect();
        *side = by_time(side, order);
    }
    Ok(plan)
}

fn by_time(side: &Side, order: Vec<usize>) -> Side {
    let schema = timed(&side.schema);
    let mut columns = vec![table::Field::new("$rows", DataType::Int64, false)];
    if side.alone {
        columns.push(table::Field::new("$matches", DataType::Int64, false));
    }
    let time = order[0];
    let by = |&column: &usize| {
        let field = schema.field(column);
        table::OrderField {
            field: table::Field::new(field.name(), field.data_type().clone(), column != time),
            descending: false,
            nulls_first: column != time,
        }
    };
    let spec = TableSpec::ordered(
        &side.table.name,
        side.table.key.clone(),
        order.iter().map(by).collect(),
        columns,
    );
    Side {
        schema,
        rows: side.rows,
        keys: side.keys.clone(),
        values: Vec::new(),
        count: Some(0),
        matches: side.alone.then_some(1),
        alone: side.alone,
        ttl: None,
        table: spec.with_expiry(Expiry::ByOrder),
        order,
    }
}

fn timers_of(side: &Side) -> Option<TableSpec> {
    let name = format!("{} to be given", side.table.name);
    side.alone.then(|| TableSpec::timers(&name, side.table.key.clone()))
}

pub(super) fn specs(spec: &Spec) -> Result<Vec<TableSpec>, OperatorError> {
    let plan = plan(spec)?;
    let stores = plan.sides.iter().map(|side| side.table.clone());
    Ok(stores.chain(plan.sides.iter().filter_map(timers_of)).collect())
}

impl IntervalJoin {
    /// The operator with empty tables for these key groups.
    ///
    /// # Errors
    /// When keys do not fit together, or columns are of types that state cannot hold.
    pub fn new(spec: &Spec, groups: Groups) -> Result<Self, OperatorError> {
        let plan = plan(spec)?;
        let wrong = |error: SpecError| OperatorError::user(error);
        let [left, right] = &plan.sides;
        let timers = |side: &Side| {
            timers_of(side).map(|spec| Timers::new(spec, groups)).transpose().map_err(wrong)
        };
        let [least, most] = spec.within;
        Ok(Self {
            stores: [
                Store::new(left, groups).map_err(wrong)?,
                Store::new(right, groups).map_err(wrong)?,
            ],
            timers: [timers(left)?, timers(right)?],
            reach: [most, least.saturating_neg()],
            numbers: BatchGroups::default(),
            times: [&spec.left, &spec.right].map(|input| (input.time, input.shift)),
            leaves_late: spec.leaves_late,
            latest: [i64::MIN; 2],
            work: None,
            plan,
        })
    }

    fn keys(&self, input: usize, records: &RecordBatch) -> Vec<ArrayRef> {
        let keys = self.plan.sides[input].keys.iter();
        keys.map(|&k| records.column(k).clone()).collect()
    }

    /// The batch with its rows' times in milliseconds.
    fn with_times(&self, input: usize, batch: &Batch) -> Result<RecordBatch, OperatorError> {
        let records = batch.records();
        let unit = DataType::Timestamp(TimeUnit::Millisecond, None);
        let (time, shift) = self.times[input];
        let times = cast(records.column(time), &unit)?;
        let times = times.as_primitive::<TimestampMillisecondType>();
        let times: ArrayRef =
            Arc::new(times.unary::<_, Int64Type>(|time| time.saturating_add(shift)));
        let columns = records.columns().iter().cloned().chain([times]).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.plan.sides[input].schema), columns)?)
    }

    /// Takes in rows of one side, whose keys are in memory on both. [`IntervalJoin::step`] gives
    /// what they match.
    ///
    /// # Errors
    /// When a column is not as planned.
    pub fn take_in(&mut self, input: usize, batch: &Batch) -> Result<Vec<Batch>, OperatorError> {
        gone(batch, InputRows::Appended)?;
        let side = &self.plan.sides[input];
        let records = self.with_times(input, batch)?;
        let keys = self.keys(input, &records);
        let strict = keys.iter().zip(&self.plan.null_safe).filter(|(_, null_safe)| !**null_safe);
        let mut needed: Vec<ArrayRef> = strict.map(|(key, _)| key.clone()).collect();
        needed.push(records.column(records.num_columns() - 1).clone());
        let lacks = |row: usize| needed.iter().any(|column| column.is_null(row));
        let without: BooleanArray = (0..records.num_rows()).map(|row| Some(lacks(row))).collect();
        let with = arrow::compute::not(&without)?;
        let mut given = Vec::new();
        if side.alone && without.true_count() > 0 {
            let rows = filter_record_batch(&records, &without)?;
            let mut alone = Given::default();
            for row in 0..rows.num_rows() {
                alone.push(RowKind::Insert, 1, Some(row as u32), None);
            }
            given = alone.batches(&self.plan, input, rows.columns(), || Ok(Vec::new()))?;
        }
        let records = filter_record_batch(&records, &with)?;
        if records.num_rows() > 0 {
            let moved = self.keep(input, records)?;
            let keys: Vec<ArrayRef> =
                self.plan.sides[input].keys.iter().map(|&k| moved.columns[k].clone()).collect();
            let mut others = Vec::new();
            self.stores[1 - input].keys_in(&keys, moved.len(), &mut others)?;
            let [least, most] = self.between(input);
            let probe = Probe::new(input, moved, others, &self.stores[1 - input], least, most)?;
            self.work = Some(Work::Probe(probe));
        }
        Ok(given)
    }

    /// Least and largest time of the other side's row less that of a row of this one.
    fn between(&self, input: usize) -> [i64; 2] {
        [self.reach[1 - input].saturating_neg(), self.reach[input]]
    }

    /// Takes rows into the table, and gives the different ones. Those that the table does not
    /// take, because nothing can match them any more that is not late, have no slot.
    fn keep(&mut self, input: usize, records: RecordBatch) -> Result<Moved, OperatorError> {
        let side = &self.plan.sides[input];
        let times = records.column(records.num_columns() - 1).as_primitive::<Int64Type>();
        self.latest[input] = self.latest[input].max(max(times).unwrap_or(i64::MIN));
        let columns =
            |of: &[usize]| of.iter().map(|&c| records.column(c).clone()).collect::<Vec<_>>();
        let (keys, order) = (columns(&side.keys), columns(&side.order));
        let (rows, mut slots) = (records.num_rows(), Vec::new());
        let store = &mut self.stores[input];
        store.find(&keys, &order, rows, &mut slots)?;
        let new: UInt32Array =
            (0..).zip(&slots).filter(|(_, slot)| **slot == ABSENT).map(|(row, _)| row).collect();
        let zeros = Store::columns_of(side, records.columns(), &new)?;
        let put =
            store.put(&take_all(&keys, &new)?, &take_all(&order, &new)?, &zeros, new.len())?;
        new.values().iter().zip(put).for_each(|(&row, slot)| slots[row as usize] = slot);
        let taken: BooleanArray = slots.iter().map(|&slot| Some(slot != ABSENT)).collect();
        let late = filter_record_batch(&records, &arrow::compute::not(&taken)?)?;
        let batch = Batch::new(filter_record_batch(&records, &taken)?);
        let keys = self.keys(input, batch.records());
        let mut fold = Fold {
            side: &self.plan.sides[input],
            store: &mut self.stores[input],
            numbers: &mut self.numbers,
            batch: &batch,
            keys: &keys,
        };
        let mut moved = fold.fold()?.came;
        if late.num_rows() > 0 && !self.leaves_late {
            let all = moved.columns.iter().zip(late.columns());
            let all = all.map(|(a, b)| arrow::compute::concat(&[a.as_ref(), b.as_ref()]));
            moved.columns = all.collect::<Result<_, _>>()?;
            for _ in 0..late.num_rows() {
                moved.push(0, ABSENT, 1, RowKind::Insert);
            }
        }
        Ok(moved)
    }

    /// Goes on; `None` once all is given.
    ///
    /// # Errors
    /// When the condition fails on a pair, or stored rows are damaged.
    pub fn step(&mut self) -> Result<Option<Vec<Batch>>, OperatorError> {
        match self.work.take() {
            None => Ok(None),
            Some(Work::Probe(mut probe)) => {
                let found = probe.step(&self.plan, &mut self.stores)?;
                if let Some((keys, times)) = &found.unmatched
                    && let Some(timers) = &mut self.timers[probe.side]
                {
                    let reach = self.reach[probe.side];
                    let due = |time: i64| time.saturating_add(reach).saturating_add(1);
                    timers.set(keys, &times.unary(due))?;
                }
                if !found.done {
                    self.work = Some(Work::Probe(probe));
                }
                Ok(Some(found.given))
            }
            Some(Work::Due { mark, side, keys, times }) => {
                let given = self.give_alone(side, &keys, &times)?;
                self.find_due(mark, side)?;
                Ok(Some(given))
            }
        }
    }

    /// Begins with a watermark: [`IntervalJoin::step`] gives what has found no match by then.
    ///
    /// # Errors
    /// When a stored key is damaged.
    pub fn pass(&mut self, mark: Watermark) -> Result<(), OperatorError> {
        self.find_due(mark, 0)
    }

    /// Finds the next rows that are due, of this side and then of the other one; once there are
    /// none, lets go of what nothing can match.
    fn find_due(&mut self, mark: Watermark, first: usize) -> Result<(), OperatorError> {
        for side in first..2 {
            let Some(timers) = &mut self.timers[side] else { continue };
            let (keys, times) = timers.due(mark.0, DUE)?;
            if let Some(due) = max(&times) {
                let time = due.saturating_sub(1).saturating_sub(self.reach[side]);
                self.latest[side] = self.latest[side].max(time);
                self.work = Some(Work::Due { mark, side, keys, times });
                return Ok(());
            }
        }
        self.let_go(mark);
        Ok(())
    }

    /// Lets go of what nothing can match that comes behind the watermark. Behind the end of time a
    /// later run may begin anew: then only what was there is gone.
    pub(super) fn let_go(&mut self, mark: Watermark) {
        for (side, store) in self.stores.iter_mut().enumerate() {
            let bound = match mark {
                Watermark::MAX => self.latest[side].saturating_add(1),
                Watermark(at) => at.saturating_sub(self.reach[side]),
            };
            if let Store::Many(table) = store {
                table.expire_below(bound);
            }
        }
    }

    /// Rows of these keys and due times that have no match.
    fn give_alone(
        &mut self,
        side: usize,
        keys: &[ArrayRef],
        due: &Int64Array,
    ) -> Result<Vec<Batch>, OperatorError> {
        let (plan, store) = (&self.plan.sides[side], &mut self.stores[side]);
        let mut key_slots = Vec::new();
        store.keys_in(keys, due.len(), &mut key_slots)?;
        let reach = self.reach[side];
        let times: ArrayRef =
            Arc::new(due.unary::<_, Int64Type>(|due| due.saturating_sub(1).saturating_sub(reach)));
        let edges = store.edges(&[times], due.len())?;
        let mut slots = Vec::new();
        for (key, at) in key_slots.into_iter().zip(&edges) {
            if key != ABSENT {
                let mut cursor = Cursor::between(key, at, at);
                while store.scan(&mut cursor, DUE, &mut slots) {}
            }
        }
        let matches = store.counts(plan.matches, &slots)?;
        let counts = store.counts(plan.count, &slots)?;
        let mut given = Given::default();
        for (at, (matches, count)) in matches.into_iter().zip(counts).enumerate() {
            if matches == 0 {
                given.push(RowKind::Insert, count, Some(at as u32), None);
            }
        }
        let rows = store.rows(plan, &slots)?;
        given.batches(&self.plan, side, &rows, || Ok(Vec::new()))
    }

    fn go_on(&mut self, out: &mut Output) -> Result<Progress, OperatorError> {
        if let Some(given) = self.step()? {
            given.into_iter().for_each(|given| out.push(given));
        }
        Ok(if self.work.is_some() { Progress::More } else { Progress::Done })
    }
}

impl Operator for IntervalJoin {
    /// The left side's rows, the right one's, and the timers of those that are given alone.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let stores = self.stores.iter_mut().map(Store::table);
        let timers = self.timers.iter_mut().flatten().map(|timers| timers as &mut dyn Table);
        stores.chain(timers).collect()
    }

    fn restore(&mut self, _: &mut Context, state: Restored) -> Result<(), OperatorError> {
        state.watermark.into_iter().for_each(|mark| self.let_go(mark));
        Ok(())
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>, OperatorError> {
        let (keys, rows) = (self.keys(input, batch.records()), batch.num_rows());
        Ok((0..2).map(|table| TableKeys { table, keys: keys.clone(), rows }).collect())
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>, OperatorError> {
        Ok(match &self.work {
            Some(Work::Due { side, keys, times, .. }) => {
                vec![TableKeys { table: *side, keys: keys.clone(), rows: times.len() }]
            }
            _ => Vec::new(),
        })
    }

    fn on_batch(
        &mut self,
        _: &mut Context,
        input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.take_in(input, &batch)?.into_iter().for_each(|given| out.push(given));
        self.go_on(out)
    }

    fn on_watermark(
        &mut self,
        _: &mut Context,
        mark: Watermark,
        _: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.pass(mark)?;
        Ok(if self.work.is_some() { Progress::More } else { Progress::Done })
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        self.go_on(out)
    }

    fn outgoing(&self, mark: Watermark) -> Watermark {
        mark.held_back(self.reach[0].max(self.reach[1]))
    }

    fn state_bytes(&self) -> usize {
        self.numbers.bytes()
    }
}
