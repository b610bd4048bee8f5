//! The operator: rows wait for the watermark, then search for their versions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use weir_state::key_table::ABSENT;
use weir_state::table::{Edge, Groups, Ordered, Scan, Table, TableError, Timers};

use super::super::spec::TemporalJoin as Spec;
use super::plan::{Plan, THERE};
use super::rows::{Met, alone};
use crate::aggregate::InputRows;
use crate::operator::TableKeys;
use crate::operators::rows::{BatchKeys, gone, now, take_all};
use crate::{
    Batch, Context, EventTime, Operator, OperatorError, Output, Progress, RowKind, Watermark,
};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Keys whose rows leave together.
const KEYS: usize = 1_024;
/// Rows that leave in one step, and versions that go.
const ROWS: usize = 8_192;

/// A temporal join, of one subtask.
#[derive(Debug)]
pub(super) struct TemporalJoin {
    plan: Plan,
    waiting: Ordered,
    versions: Ordered,
    due: Timers,
    expires: bool,
    /// The last time that the watermark has passed.
    passed: EventTime,
    work: Option<Work>,
}

/// Keys of which the watermark has passed rows or versions.
#[derive(Debug)]
struct Work {
    keys: Vec<ArrayRef>,
    len: usize,
    /// The next key.
    at: usize,
    /// Its rows have left; versions that nobody needs go next.
    cleans: bool,
}

impl TemporalJoin {
    pub(super) fn new(spec: &Spec, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        Ok(Self {
            waiting: Ordered::new(plan.left.table.clone(), groups).map_err(OperatorError::user)?,
            versions: Ordered::new(plan.right.table.clone(), groups)
                .map_err(OperatorError::user)?,
            due: Timers::new(plan.due.clone(), groups).map_err(OperatorError::user)?,
            expires: spec.ttl.is_some(),
            passed: EventTime::MIN,
            work: None,
            plan,
        })
    }

    /// Takes in rows of the left, whose keys are in memory; gives those that can meet nothing.
    pub(super) fn wait(&mut self, batch: &Batch) -> Result<Option<Batch>> {
        gone(batch, InputRows::Appended)?;
        let records = batch.records();
        let keys = self.plan.left.keys(records);
        let has_null = |row: usize| keys.iter().any(|key| key.is_null(row));
        let without: BooleanArray =
            (0..records.num_rows()).map(|row| Some(has_null(row))).collect();
        let mut given = None;
        if self.plan.outer && without.true_count() > 0 {
            let rows = filter_record_batch(records, &without)?;
            given = Some(alone(&self.plan, &rows)?);
        }
        let records = filter_record_batch(records, &arrow::compute::not(&without)?)?;
        if records.num_rows() == 0 {
            return Ok(given);
        }
        let left = &self.plan.left;
        let (keys, times) = (left.keys(&records), left.times(&records)?);
        let values = left.values(&records);
        let numbered = BatchKeys::number(&keys, records.num_rows())?;
        self.set_due(&numbered, &times, i64::min)?;
        let order: Vec<ArrayRef> = vec![Arc::new(times)];
        self.waiting.append(&keys, &order, &values, records.num_rows())?;
        Ok(given)
    }

    /// Takes in versions.
    pub(super) fn follow(&mut self, batch: &Batch) -> Result<()> {
        let right = &self.plan.right;
        let keys = right.keys(batch.records());
        let kind = |row: usize| batch.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
        let counts = |row: usize| {
            kind(row) != RowKind::UpdateBefore && keys.iter().all(|key| key.is_valid(row))
        };
        let counting: BooleanArray = (0..batch.num_rows()).map(|row| Some(counts(row))).collect();
        let there: BooleanArray = (0..batch.num_rows())
            .filter(|&row| counting.value(row))
            .map(|row| Some(kind(row) != RowKind::Delete))
            .collect();
        let records = filter_record_batch(batch.records(), &counting)?;
        if records.num_rows() == 0 {
            return Ok(());
        }
        let (keys, times) = (right.keys(&records), right.times(&records)?);
        let numbered = BatchKeys::number(&keys, records.num_rows())?;
        // Those before the last one go when the watermark passes it.
        self.set_due(&numbered, &times, i64::max)?;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(there)];
        columns.extend(self.plan.right.values(&records));
        let order: Vec<ArrayRef> = vec![Arc::new(times)];
        self.versions.put(&keys, &order, &columns, records.num_rows())?;
        Ok(())
    }

    /// Sets a timer per key, at one of its times.
    fn set_due(
        &mut self,
        keys: &BatchKeys,
        times: &Int64Array,
        which: fn(i64, i64) -> i64,
    ) -> Result<()> {
        let mut due: Vec<Option<i64>> = vec![None; keys.len];
        for (&number, &time) in keys.numbers.iter().zip(times.values()) {
            let known = &mut due[number as usize];
            *known = Some(known.map_or(time, |known| which(known, time)));
        }
        // Every number is that of a row.
        let due: Int64Array = due.into_iter().map(Option::unwrap_or_default).map(Some).collect();
        Ok(self.due.set(&keys.keys, &due)?)
    }

    /// Rows that wait and versions in memory, for tests.
    #[cfg(test)]
    pub(super) fn kept(&self) -> [usize; 2] {
        [self.waiting.all().count(), self.versions.all().count()]
    }

    fn has_due(&self) -> bool {
        self.due.next().is_some_and(|time| time <= self.passed)
    }

    pub(super) fn pass(&mut self, mark: Watermark) {
        self.passed = self.passed.max(mark.last_passed());
    }

    pub(super) fn progress(&self) -> Progress {
        if self.work.is_some() || self.has_due() { Progress::More } else { Progress::Done }
    }

    /// Lets rows of some keys leave; the keys are in memory.
    pub(super) fn step(&mut self) -> Result<Option<Batch>> {
        let Some(mut work) = self.work.take() else { return Ok(None) };
        let left = work.len - work.at;
        let keys: Vec<ArrayRef> = work.keys.iter().map(|key| key.slice(work.at, left)).collect();
        let (mut waiting, mut versions) = (Vec::new(), Vec::new());
        self.waiting.lookup(&keys, left, &mut waiting)?;
        self.versions.lookup(&keys, left, &mut versions)?;
        let (first, mut met, mut old) = (work.at, Met::default(), Vec::new());
        let (mut again, mut times) = (Vec::new(), Vec::new());
        while work.at < work.len && met.rows.len() < ROWS && old.len() < ROWS {
            let at = work.at - first;
            if !work.cleans {
                if self.meet(waiting[at], versions[at], &mut met)? {
                    break;
                }
                if let Some(next) = self.next_time(waiting[at])? {
                    again.push(at as u32);
                    times.push(next);
                }
                work.cleans = true;
            }
            if self.superseded(versions[at], &mut old)? {
                break;
            }
            work.cleans = false;
            work.at += 1;
        }
        self.due.set(&take_all(&keys, &UInt32Array::from(again))?, &Int64Array::from(times))?;
        if self.expires {
            // Whoever is asked for is not forgotten.
            self.versions.touch(&met.versions);
        }
        let left = met.rows.clone();
        let given = met.batch(&self.plan, &self.waiting, &self.versions)?;
        self.waiting.remove_slots(&left);
        self.versions.remove_slots(&old);
        self.work = (work.at < work.len).then_some(work);
        Ok(given)
    }

    fn edges(table: &Ordered, times: Int64Array) -> Result<Vec<Edge>> {
        let rows = times.len();
        let times: ArrayRef = Arc::new(times);
        Ok(table.edges(&[times], rows)?)
    }

    fn edge(table: &Ordered, time: EventTime) -> Result<Edge> {
        let edge = Self::edges(table, Int64Array::from(vec![time]))?.pop();
        edge.ok_or_else(|| OperatorError::internal("a time has no place in an order"))
    }

    /// Finds the versions of a key's rows that the watermark has passed; `true` if more of them
    /// wait.
    fn meet(&self, waiting: u32, versions: u32, met: &mut Met) -> Result<bool> {
        if waiting == ABSENT {
            return Ok(false);
        }
        let limit = met.rows.len() + ROWS;
        let start = met.rows.len();
        let mut scan = Scan::all(waiting).to(&Self::edge(&self.waiting, self.passed)?);
        let mut more = true;
        // Rows that are gone keep their place for a while.
        while more && met.rows.len() < limit {
            let left = limit - met.rows.len();
            more = self.waiting.scan(&mut scan, left, &mut met.rows);
        }
        if met.rows.len() == start {
            return Ok(more);
        }
        if versions == ABSENT {
            met.version.resize(met.rows.len(), None);
            return Ok(more);
        }
        let times = times_of(&self.waiting, &met.rows[start..])?;
        let edges = Self::edges(&self.versions, times)?;
        let there = self.versions.column::<bool>(THERE).map_err(TableError::from)?;
        let mut found = None;
        for (at, edge) in edges.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &edges[before]);
            if before != Some(edge) {
                // What is not between the row before and this one was looked at before.
                let mut scan = Scan::all(versions).to(edge).backward();
                if let Some(before) = before {
                    scan = scan.from(before);
                }
                let mut slots = Vec::new();
                while slots.is_empty() && self.versions.scan(&mut scan, 1, &mut slots) {}
                if let Some(&slot) = slots.first() {
                    found = (there.get(slot) == Some(true)).then(|| {
                        met.versions.push(slot);
                        met.versions.len() as u32 - 1
                    });
                }
            }
            met.version.push(found);
        }
        Ok(more)
    }

    /// When the next row of a key is due that the watermark has not passed.
    fn next_time(&self, waiting: u32) -> Result<Option<EventTime>> {
        let Some(next) = self.passed.checked_add(1).filter(|_| waiting != ABSENT) else {
            return Ok(None);
        };
        let mut scan = Scan::all(waiting).from(&Self::edge(&self.waiting, next)?);
        let mut slots = Vec::new();
        while slots.is_empty() && self.waiting.scan(&mut scan, 1, &mut slots) {}
        let times = times_of(&self.waiting, &slots)?;
        Ok(times.values().first().copied())
    }

    /// Adds the versions of a key that no row asks for any more; `true` if there may be more.
    fn superseded(&self, versions: u32, old: &mut Vec<u32>) -> Result<bool> {
        if versions == ABSENT {
            return Ok(false);
        }
        let mut scan = Scan::all(versions).to(&Self::edge(&self.versions, self.passed)?);
        let (mut found, mut more) = (Vec::new(), true);
        while more && found.len() < ROWS {
            more = self.versions.scan(&mut scan, ROWS, &mut found);
        }
        let there = self.versions.column::<bool>(THERE).map_err(TableError::from)?;
        // A row that is gone is as one that never was.
        if more || found.last().is_some_and(|&last| there.get(last) == Some(true)) {
            found.pop();
        }
        old.append(&mut found);
        Ok(more)
    }
}

fn times_of(table: &Ordered, slots: &[u32]) -> Result<Int64Array> {
    let times = table.orders(slots)?;
    let times = times.first().and_then(|times| times.as_primitive_opt::<Int64Type>());
    times.cloned().ok_or_else(|| OperatorError::internal("a temporal join lacks its times"))
}

impl Operator for TemporalJoin {
    /// The rows that wait, the versions, and when keys are due.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.waiting, &mut self.versions, &mut self.due]
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        if input != 0 {
            return Ok(Vec::new());
        }
        let (keys, rows) = (self.plan.left.keys(batch.records()), batch.num_rows());
        Ok(vec![TableKeys { table: 0, keys, rows }])
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>> {
        if self.work.is_none() && self.has_due() {
            let (keys, times) = self.due.due(self.passed, KEYS)?;
            // A key may have been due several times.
            let BatchKeys { keys, len, .. } = BatchKeys::number(&keys, times.len())?;
            self.work = Some(Work { keys, len, at: 0, cleans: false });
        }
        let Some(work) = &self.work else { return Ok(Vec::new()) };
        let rows = work.len - work.at;
        let keys: Vec<ArrayRef> = work.keys.iter().map(|key| key.slice(work.at, rows)).collect();
        Ok([0, 1].map(|table| TableKeys { table, keys: keys.clone(), rows }).into())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if self.expires {
            self.versions.set_clock(now(cx));
        }
        if input == 0 {
            self.wait(&batch)?.into_iter().for_each(|given| out.push(given));
        } else {
            self.follow(&batch)?;
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress> {
        if self.expires {
            self.versions.set_clock(now(cx));
        }
        self.pass(mark);
        Ok(self.progress())
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        self.step()?.into_iter().for_each(|given| out.push(given));
        Ok(self.progress())
    }
}
