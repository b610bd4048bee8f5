//! The operator: rows join sessions, sessions leave when they have ended.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array,
};
use weir_protocol::Counter;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Ordered, Scan, Table, TableError};

use super::merge::{Session, Sessions};
use super::plan::Plan;
use super::spec::SessionAggregate;
use crate::operator::{OutputTag, Restored, TableKeys};
use crate::operators::due::Due;
use crate::operators::group::batch::signed;
use crate::operators::passed::Passed;
use crate::operators::rows::{BatchKeys, gone, take_all};
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// The column of the number of a session's rows.
const ROWS: usize = 1;
/// Sessions that are looked at together.
const LOOK: usize = 64;
/// Keys whose sessions leave together.
const KEYS: usize = 2_048;

/// An aggregation over sessions, of one subtask.
#[derive(Debug)]
pub(super) struct SessionRows {
    plan: Plan,
    sessions: Ordered,
    due: Due,
    /// Sessions that end there or before have been given out.
    passed: Passed,
}

/// Sessions of the table.
#[derive(Default)]
struct Found {
    slots: Vec<u32>,
    /// Where they stand in the table's order.
    places: Vec<EventTime>,
    starts: Vec<EventTime>,
    ends: Vec<EventTime>,
    /// Per key where its sessions end.
    bounds: Vec<usize>,
}

impl SessionRows {
    pub(super) fn new(spec: &SessionAggregate, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        Ok(Self {
            sessions: Ordered::new(plan.sessions.clone(), groups).map_err(OperatorError::user)?,
            due: Due::new(plan.due.clone(), groups, KEYS)?,
            passed: Passed::default(),
            plan,
        })
    }

    /// The sessions of keys.
    fn find(&mut self, keys: &[ArrayRef], len: usize) -> Result<Found> {
        let mut key_slots = Vec::new();
        self.sessions.lookup(keys, len, &mut key_slots)?;
        let mut found = Found::default();
        for key in key_slots {
            if key != ABSENT {
                let mut scan = Scan::all(key);
                while self.sessions.scan(&mut scan, LOOK, &mut found.slots) {}
            }
            found.bounds.push(found.slots.len());
        }
        let places = self.sessions.orders(&found.slots)?.pop();
        let places = places.ok_or_else(|| OperatorError::internal("a session has no start"))?;
        found.places = int64(&places)?.values().to_vec();
        let starts = self.sessions.column::<i64>(self.plan.start).map_err(TableError::from)?;
        let stands = found.slots.iter().zip(&found.places);
        found.starts = stands.map(|(&slot, &place)| starts.get(slot).unwrap_or(place)).collect();
        let ends = self.sessions.column::<i64>(0).map_err(TableError::from)?;
        found.ends = found.slots.iter().map(|&s| ends.get(s).unwrap_or_default()).collect();
        Ok(found)
    }

    /// Takes in rows, whose keys are in memory; gives those that are late.
    fn take_in(&mut self, batch: &Batch, groups: u32) -> Result<Option<BooleanArray>> {
        let gone = gone(batch, self.plan.spec.input_rows)?;
        let times = self.plan.times(batch)?;
        let keys = BatchKeys::number(&self.plan.keys(batch), batch.num_rows())?;
        let found = self.find(&keys.keys, keys.len)?;
        let mut of_key: Vec<Sessions> = Vec::with_capacity(keys.len);
        let mut from = 0;
        for &to in &found.bounds {
            let mut sessions = Sessions::default();
            for number in from..to {
                sessions.add_stored(number, found.starts[number], found.ends[number]);
            }
            of_key.push(sessions);
            from = to;
        }
        let done = self.passed.of(&keys.keys, keys.len, groups);
        let mut late = vec![false; times.len()];
        for (row, late) in late.iter_mut().enumerate() {
            let done = done[keys.numbers[row] as usize];
            let done = match batch.behind() {
                Some(behind) if behind.is_valid(row) => done.max(behind.value(row)),
                _ => done,
            };
            let sessions = &mut of_key[keys.numbers[row] as usize];
            *late = !sessions.add(row as u32, times[row], self.plan.spec.gap, done);
        }
        let changed: Vec<(u32, Session)> = (0..)
            .zip(of_key)
            .flat_map(|(key, sessions)| sessions.changed().map(move |session| (key, session)))
            .collect();
        if !changed.is_empty() {
            self.store(batch, gone.as_ref(), &keys.keys, &found, &changed)?;
        }
        Ok(late.contains(&true).then(|| late.into()))
    }

    /// Writes sessions down that rows have joined, in the place of those that they are made of.
    fn store(
        &mut self,
        batch: &Batch,
        gone: Option<&BooleanArray>,
        keys: &[ArrayRef],
        found: &Found,
        changed: &[(u32, Session)],
    ) -> Result<()> {
        // Who is merged into which.
        let (mut old, mut into_of_old) = (Vec::new(), Vec::new());
        let (mut rows, mut into_of_rows): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (into, (_, session)) in (0_u32..).zip(changed) {
            for &number in &session.stored {
                old.push(number);
                into_of_old.push(into);
            }
            rows.extend(&session.rows);
            into_of_rows.extend(session.rows.iter().map(|_| into));
        }
        let slots: Vec<u32> = old.iter().map(|&number| found.slots[number]).collect();
        let all: Vec<u32> = (0..changed.len() as u32).collect();
        let rows = UInt32Array::from(rows);
        let ends = changed.iter().map(|(_, session)| session.end);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(ends))];
        if self.plan.counts_rows() {
            let counts = self.sessions.column::<i64>(ROWS).map_err(TableError::from)?;
            let mut counted = vec![0; changed.len()];
            for (&into, &slot) in into_of_old.iter().zip(&slots) {
                counted[into as usize] += counts.get(slot).unwrap_or_default();
            }
            for (&into, &row) in into_of_rows.iter().zip(rows.values()) {
                let goes = gone.is_some_and(|gone| gone.value(row as usize));
                counted[into as usize] += if goes { -1 } else { 1 };
            }
            columns.push(Arc::new(Int64Array::from(counted)));
        }
        for (call, state) in &self.plan.calls {
            let mut accumulator = call.aggregate().accumulator()?;
            accumulator.grow(changed.len());
            let stored = state.clone().map(|column| self.sessions.read(column, &slots));
            accumulator.merge(&into_of_old, &stored.collect::<Result<Vec<_>, _>>()?)?;
            let partial = signed(call.aggregate(), call.partial(batch.records())?, gone)?;
            accumulator.merge(&into_of_rows, &take_all(&partial, &rows)?)?;
            columns.extend(accumulator.export(&all)?);
        }
        let old_keys = self.sessions.keys(&slots)?;
        let old_ends = old.iter().map(|&number| found.ends[number]);
        self.due.timers.cancel(&old_keys, &Int64Array::from_iter_values(old_ends))?;
        self.sessions.remove(&old_keys, &self.sessions.orders(&slots)?, slots.len())?;
        let owners: UInt32Array = changed.iter().map(|(key, _)| *key).collect();
        let keys = take_all(keys, &owners)?;
        let places = places(found, changed);
        let moved = changed.iter().zip(&places);
        let moved = moved.map(|((_, s), &place)| (place != s.start).then_some(s.start));
        columns.push(Arc::new(moved.collect::<Int64Array>()));
        self.due.timers.set(&keys, int64(&columns[0])?)?;
        let places: ArrayRef = Arc::new(Int64Array::from(places));
        self.sessions.put(&keys, &[places], &columns, changed.len())?;
        Ok(())
    }

    /// Gives out the sessions of keys that have ended.
    fn give(&mut self, keys: &[ArrayRef], len: usize, out: &mut Output) -> Result<()> {
        let keys = BatchKeys::number(keys, len)?;
        let found = self.find(&keys.keys, keys.len)?;
        let done = self.passed.done();
        let mut ended: Vec<usize> =
            (0..found.slots.len()).filter(|&number| found.ends[number] <= done).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let over: Vec<u32> = ended.iter().map(|&number| found.slots[number]).collect();
        if self.plan.counts_rows() {
            // Of which all rows went there is nothing to tell.
            let rows = self.sessions.column::<i64>(ROWS).map_err(TableError::from)?;
            ended.retain(|&number| rows.get(found.slots[number]).is_some_and(|rows| rows > 0));
        }
        let slots: Vec<u32> = ended.iter().map(|&number| found.slots[number]).collect();
        let all: Vec<u32> = (0..slots.len() as u32).collect();
        let mut columns = self.sessions.keys(&slots)?;
        for (call, state) in &self.plan.calls {
            let mut accumulator = call.aggregate().accumulator()?;
            accumulator.grow(slots.len());
            let stored = state.clone().map(|column| self.sessions.read(column, &slots));
            accumulator.merge(&all, &stored.collect::<Result<Vec<_>, _>>()?)?;
            columns.push(accumulator.finish(&all)?);
        }
        let times = |time: &dyn Fn(usize) -> EventTime| -> ArrayRef {
            let times = ended.iter().map(|&number| time(number));
            Arc::new(TimestampMillisecondArray::from_iter_values(times))
        };
        columns.push(times(&|number| found.starts[number]));
        columns.push(times(&|number| found.ends[number]));
        columns.push(times(&|number| found.ends[number].saturating_sub(1)));
        out.push(Batch::new(RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?));
        let (keys, orders) = (self.sessions.keys(&over)?, self.sessions.orders(&over)?);
        Ok(self.sessions.remove(&keys, &orders, over.len())?)
    }
}

/// Where sessions are put: at their start, or at the first place behind it that none of their key
/// stands at which is left as it is.
fn places(found: &Found, changed: &[(u32, Session)]) -> Vec<EventTime> {
    let merged: HashSet<usize> = changed.iter().flat_map(|(_, s)| &s.stored).copied().collect();
    let mut taken = HashSet::new();
    let mut last = None;
    for &(key, _) in changed {
        if last.replace(key) != Some(key) {
            let from = (key as usize).checked_sub(1).map_or(0, |before| found.bounds[before]);
            let left = (from..found.bounds[key as usize]).filter(|number| !merged.contains(number));
            taken.extend(left.map(|number| (key, found.places[number])));
        }
    }
    let place = |(key, session): &(u32, Session)| {
        let mut place = session.start;
        while !taken.insert((*key, place)) {
            place = place.wrapping_add(1);
        }
        place
    };
    changed.iter().map(place).collect()
}

fn int64(column: &ArrayRef) -> Result<&Int64Array> {
    column
        .as_any()
        .downcast_ref()
        .ok_or_else(|| OperatorError::internal("a session's time is no BIGINT"))
}

impl Operator for SessionRows {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.sessions, &mut self.due.timers]
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        Ok(vec![TableKeys { table: 0, keys: self.plan.keys(batch), rows: batch.num_rows() }])
    }

    fn restore(&mut self, _cx: &mut Context, state: Restored) -> Result<()> {
        self.passed = Passed::restore(state);
        Ok(())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(late) = self.take_in(&batch, cx.max_parallelism)? {
            cx.metrics.add(Counter::Late, late.true_count());
            out.push_to(OutputTag::Late, batch.filter(late.values())?);
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress> {
        self.passed.advance(mark);
        Ok(self.due.progress(self.passed.done()))
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>> {
        self.due.named(self.passed.done(), [0])
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        if let Some(due) = self.due.take() {
            self.give(&due.keys, due.len(), out)?;
        }
        Ok(self.due.progress(self.passed.done()))
    }
}
