//! The operator: a batch of one side in, what it makes of pairs out.

use arrow::array::{Array, ArrayRef, UInt32Array};
use weir_state::table::{Groups, SpecError, Table};

use super::emit::Given;
use super::fold::{Fold, Folded};
use super::plan::Plan;
use super::probe::{Around, Probe};
use super::spec::{Join as Spec, JoinKind};
use super::store::Store;
use crate::operator::TableKeys;
use crate::operators::group::batch::BatchGroups;
use crate::operators::rows::{gone, now};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress, RowKind};

/// A join over all rows, of one subtask.
#[derive(Debug)]
pub struct Join {
    plan: Plan,
    stores: [Store; 2],
    numbers: BatchGroups,
    probe: Option<Probe>,
}

impl Join {
    /// The operator with empty tables for these key groups.
    ///
    /// # Errors
    /// When keys do not fit together, or columns are of types that state cannot hold.
    pub fn new(spec: &Spec, groups: Groups) -> Result<Self, OperatorError> {
        let plan = Plan::new(spec)?;
        let wrong = |error: SpecError| OperatorError::user(error);
        let [left, right] = &plan.sides;
        let stores =
            [Store::new(left, groups).map_err(wrong)?, Store::new(right, groups).map_err(wrong)?];
        Ok(Self { plan, stores, numbers: BatchGroups::default(), probe: None })
    }

    fn keys(&self, input: usize, batch: &Batch) -> Vec<ArrayRef> {
        let keys = self.plan.sides[input].keys.iter();
        keys.map(|&k| batch.records().column(k).clone()).collect()
    }

    /// The rows that can match something, and the others.
    fn split(&self, input: usize, batch: Batch) -> Result<(Batch, Option<Batch>), OperatorError> {
        let keys = self.keys(input, &batch);
        let strict = keys.iter().zip(&self.plan.null_safe).filter(|(_, null_safe)| !**null_safe);
        let nulls: Vec<_> = strict.filter_map(|(key, _)| key.logical_nulls()).collect();
        if nulls.iter().all(|nulls| nulls.null_count() == 0) {
            return Ok((batch, None));
        }
        let lacks = |row: &u32| nulls.iter().any(|nulls| nulls.is_null(*row as usize));
        let (without, with): (Vec<u32>, Vec<u32>) = (0..batch.num_rows() as u32).partition(lacks);
        let without = batch.take(&UInt32Array::from(without))?;
        Ok((batch.take(&UInt32Array::from(with))?, Some(without)))
    }

    /// Takes in rows of one side, whose keys are in memory on both, at a time in seconds by which
    /// state expires. [`Join::step`] gives what they change.
    ///
    /// # Errors
    /// When rows go that may only come, or a column is not as planned.
    pub fn take_in(
        &mut self,
        input: usize,
        batch: Batch,
        now: u32,
    ) -> Result<Vec<Batch>, OperatorError> {
        for (side, store) in self.plan.sides.iter().zip(&mut self.stores) {
            if side.ttl.is_some() {
                store.table().set_clock(now);
            }
        }
        let side = &self.plan.sides[input];
        // Rows that go although they may not are a bug of who gave them.
        gone(&batch, side.rows)?;
        let (batch, without) = self.split(input, batch)?;
        let given = match without {
            Some(rows) if side.alone && self.plan.kind != JoinKind::Semi => {
                let mut given = Given::default();
                for row in 0..rows.num_rows() {
                    let kind = rows.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
                    given.push(kind, 1, Some(row as u32), None);
                }
                given.batches(&self.plan, input, rows.records().columns(), || Ok(Vec::new()))?
            }
            _ => Vec::new(),
        };
        if batch.num_rows() > 0 {
            self.probe = Some(self.begin(input, &batch)?);
        }
        Ok(given)
    }

    fn begin(&mut self, input: usize, batch: &Batch) -> Result<Probe, OperatorError> {
        let (keys, rows) = (self.keys(input, batch), batch.num_rows());
        let [side, other] = [&self.plan.sides[input], &self.plan.sides[1 - input]];
        let presence = other.alone && other.matches.is_none();
        let had = if presence { self.stores[input].have_rows(&keys, rows)? } else { Vec::new() };
        let mut fold = Fold {
            side,
            store: &mut self.stores[input],
            numbers: &mut self.numbers,
            batch,
            keys: &keys,
        };
        let folded: Folded = fold.fold()?;
        let has = if presence { self.stores[input].have_rows(&keys, rows)? } else { Vec::new() };
        let mut others = Vec::new();
        self.stores[1 - input].keys_in(&keys, rows, &mut others)?;
        let around = Around { other: others, had, has };
        Probe::new(&self.plan, input, &keys, rows, &around, folded)
    }

    /// Goes on with what was taken in; `None` once all is given.
    ///
    /// # Errors
    /// When the condition fails on a pair, or stored rows are damaged.
    pub fn step(&mut self) -> Result<Option<Vec<Batch>>, OperatorError> {
        let Some(probe) = &mut self.probe else { return Ok(None) };
        let given = probe.step(&self.plan, &mut self.stores)?;
        if given.is_none() {
            self.probe = None;
        }
        Ok(given)
    }
}

impl Operator for Join {
    /// The left side's rows, then the right one's.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        self.stores.iter_mut().map(Store::table).collect()
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>, OperatorError> {
        let (keys, rows) = (self.keys(input, batch), batch.num_rows());
        Ok((0..2).map(|table| TableKeys { table, keys: keys.clone(), rows }).collect())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.take_in(input, batch, now(cx))?.into_iter().for_each(|given| out.push(given));
        self.resume(cx, out)
    }

    /// Slots are good until then: tables move rows between batches only.
    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, OperatorError> {
        match self.step()? {
            Some(given) => {
                given.into_iter().for_each(|given| out.push(given));
                Ok(if self.probe.as_ref().is_some_and(Probe::is_done) {
                    self.probe = None;
                    Progress::Done
                } else {
                    Progress::More
                })
            }
            None => Ok(Progress::Done),
        }
    }

    fn state_bytes(&self) -> usize {
        self.numbers.bytes()
    }
}
