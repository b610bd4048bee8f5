//! The operator: a batch in, what it changes out.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use weir_state::key_table::ABSENT;
use weir_state::table::{Edge, Groups, Ordered, Scan, Table};

use super::changes::{Shown, changes};
use super::plan::Plan;
use super::rows::{Equal, Incoming};
use super::spec::{RankFunction, TopN};
use crate::operator::TableKeys;
use crate::operators::rows::{gone, now};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows that are looked at together.
const LOOK: usize = 64;

/// Top-N, of one subtask.
#[derive(Debug)]
pub struct Rank {
    plan: Plan,
    rows: Ordered,
}

/// The first rows of a key, as slots with their ranks.
#[derive(Default)]
struct First {
    slots: Vec<u32>,
    ranks: Vec<u64>,
    /// Rows behind them, where these are wanted.
    beyond: Vec<u32>,
}

impl First {
    /// Leaves the first rows out.
    fn skip(&mut self, rows: usize) {
        self.slots.drain(..rows);
        self.ranks.drain(..rows);
    }
}

impl Rank {
    /// The operator with an empty table for these key groups.
    ///
    /// # Errors
    /// When state cannot hold a type, or no rank is asked for.
    pub fn new(spec: &TopN, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let rows = Ordered::new(plan.table.clone(), groups).map_err(OperatorError::user)?;
        Ok(Self { plan, rows })
    }

    /// Takes in rows, whose keys are in memory, at a time in seconds, by which state expires.
    /// Gives what they change.
    ///
    /// # Errors
    /// When rows go that may only come, or a column is not as planned.
    pub fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        // A rank that is shown depends on the rows before it.
        let together = self.plan.spec.rank.is_some();
        let sides = if self.plan.trims() {
            self.around_new(batch, now, together)?
        } else {
            self.around(batch, now, together)?
        };
        let Some([before, after]) = sides else { return Ok(None) };
        changes(&self.plan, &before, &after)
    }

    /// Takes in rows as [`Rank::take_in`]; gives the first rows of their keys before and after.
    /// `together`: these are forgotten together, as if all of them were written now.
    pub(in crate::operators) fn around(
        &mut self,
        batch: &Batch,
        now: u32,
        together: bool,
    ) -> Result<Option<[Shown; 2]>> {
        let Some((mut rows, before)) = self.admit(batch, now)? else { return Ok(None) };
        let before = self.shown(&before)?;
        let after = self.apply(&mut rows)?;
        if together && self.plan.spec.ttl.is_some() {
            after.iter().for_each(|first| self.rows.touch(&first.slots));
        }
        Ok(Some([before, self.shown(&after)?]))
    }

    /// As [`Rank::around`], of rows that only come: without those before the first one of a key that
    /// came, which stay in their slots as they are.
    fn around_new(
        &mut self,
        batch: &Batch,
        now: u32,
        together: bool,
    ) -> Result<Option<[Shown; 2]>> {
        let Some((rows, mut before)) = self.admit(batch, now)? else { return Ok(None) };
        self.put(&rows)?;
        let mut after = self.first_of(&rows, true)?;
        if together && self.plan.spec.ttl.is_some() {
            after.iter().for_each(|first| self.rows.touch(&first.slots));
        }
        for (before, after) in before.iter_mut().zip(&mut after) {
            let same = before.slots.iter().zip(&after.slots).take_while(|(a, b)| a == b).count();
            before.skip(same);
            after.skip(same);
        }
        let sides = [self.shown(&before)?, self.shown(&after)?];
        // Last, for rows that are gone are among those before.
        for first in &after {
            self.rows.remove_slots(&first.beyond);
        }
        Ok(Some(sides))
    }

    /// Takes in rows as [`Rank::take_in`], but says nothing of it.
    pub(super) fn store(&mut self, batch: &Batch, now: u32) -> Result<()> {
        if let Some((mut rows, _)) = self.admit(batch, now)? {
            self.apply(&mut rows)?;
        }
        Ok(())
    }

    /// The rows of a batch that may change something, and the first rows of their keys.
    fn admit(&mut self, batch: &Batch, now: u32) -> Result<Option<(Incoming, Vec<First>)>> {
        if self.plan.spec.ttl.is_some() {
            self.rows.set_clock(now);
        }
        let gone = gone(batch, self.plan.spec.input_rows)?;
        let mut rows = Incoming::new(&self.plan, batch, gone.as_ref())?;
        let before = self.first_of(&rows, false)?;
        if self.plan.trims() {
            rows.keep_first(&self.plan);
            self.leave_out(&mut rows, &before);
            if rows.come.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some((rows, before)))
    }

    /// Writes rows down; gives the first rows of their keys after it.
    fn apply(&mut self, rows: &mut Incoming) -> Result<Vec<First>> {
        self.remove(rows)?;
        self.put(rows)?;
        let mut after = self.first_of(rows, self.plan.trims())?;
        let beyond: Vec<u32> =
            after.iter_mut().flat_map(|first| std::mem::take(&mut first.beyond)).collect();
        self.rows.remove_slots(&beyond);
        Ok(after)
    }

    /// Gives out the first rows of keys, and forgets them with all others.
    pub(super) fn give(&mut self, keys: &[ArrayRef], len: usize) -> Result<Option<Batch>> {
        let mut slots = Vec::new();
        self.rows.lookup(keys, len, &mut slots)?;
        let first: Vec<First> = slots.into_iter().map(|key| self.first(key, false)).collect();
        let shown = self.shown(&first)?;
        self.rows.clear(keys, len)?;
        if shown.ranks.is_empty() {
            return Ok(None);
        }
        let mut columns = shown.columns;
        if self.plan.spec.rank.is_some() {
            columns.push(Plan::ranks(shown.ranks.into_iter()));
        }
        let records = RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?;
        Ok(Some(Batch::new(records)))
    }

    /// Rows in memory, for tests.
    #[cfg(test)]
    pub(super) fn rows_kept(&self) -> usize {
        self.rows.all().count()
    }

    pub(super) fn keys(&self, batch: &Batch) -> Vec<ArrayRef> {
        let columns = self.plan.spec.keys.iter();
        columns.map(|&key| Arc::clone(batch.records().column(key))).collect()
    }

    /// The first rows of the keys of a batch.
    fn first_of(&mut self, rows: &Incoming, beyond: bool) -> Result<Vec<First>> {
        let mut slots = Vec::new();
        self.rows.lookup(&rows.keys.keys, rows.keys.len, &mut slots)?;
        Ok(slots.into_iter().map(|key| self.first(key, beyond)).collect())
    }

    /// The first rows of a key.
    fn first(&self, key: u32, beyond: bool) -> First {
        let mut first = First::default();
        if key == ABSENT {
            return first;
        }
        let to = self.plan.spec.to;
        let (mut scan, mut slots) = (Scan::all(key), Vec::new());
        let compares = self.plan.spec.function != RankFunction::RowNumber;
        loop {
            slots.clear();
            let more = self.rows.scan(&mut scan, LOOK, &mut slots);
            for &slot in &slots {
                let rows = first.slots.len() as u64;
                let rank = match (first.slots.last(), first.ranks.last()) {
                    (Some(&last), Some(&rank)) => {
                        let equal = compares
                            && self.rows.order_before_last(last)
                                == self.rows.order_before_last(slot);
                        self.plan.next_rank(rows, rank, equal)
                    }
                    _ => 1,
                };
                if !first.beyond.is_empty() || rank > to {
                    if !beyond {
                        return first;
                    }
                    first.beyond.push(slot);
                    continue;
                }
                first.slots.push(slot);
                first.ranks.push(rank);
            }
            if !more {
                return first;
            }
        }
    }

    /// Leaves out rows that come behind the first ones of their key as they are.
    fn leave_out(&self, rows: &mut Incoming, before: &[First]) {
        let to = self.plan.spec.to;
        let mut come = std::mem::take(&mut rows.come);
        come.retain(|&row| {
            let first = &before[rows.key(row) as usize];
            let (Some(&last), Some(&rank)) = (first.slots.last(), first.ranks.last()) else {
                return true;
            };
            let next = |equal| self.plan.next_rank(first.slots.len() as u64, rank, equal);
            // There is room for it wherever it stands.
            if next(false) <= to && next(true) <= to {
                return true;
            }
            match rows.order(row).cmp(self.rows.order_before_last(last)) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => next(true) <= to,
                std::cmp::Ordering::Greater => next(false) <= to,
            }
        });
        rows.come = come;
    }

    /// What is given out of first rows.
    fn shown(&self, first: &[First]) -> Result<Shown> {
        let (mut slots, mut ranks, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for first in first {
            // Ranks only rise.
            let start = first.ranks.partition_point(|&rank| rank < self.plan.spec.from);
            slots.extend_from_slice(&first.slots[start..]);
            ranks.extend_from_slice(&first.ranks[start..]);
            ends.push(slots.len());
        }
        Ok(Shown { columns: self.columns(&slots)?, ranks, ends })
    }

    /// The input's columns of these rows.
    fn columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let keys = self.rows.keys(slots)?;
        let orders = self.rows.orders(slots)?;
        let rows = (0..self.plan.row.len()).map(|column| self.rows.read(column, slots));
        Ok(self.plan.join(&keys, &orders, &rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// Takes rows out that go: of equal ones those that came first.
    fn remove(&mut self, rows: &mut Incoming) -> Result<()> {
        if rows.gone.is_empty() {
            return Ok(());
        }
        let of: Vec<u32> = rows.gone.iter().map(Equal::row).collect();
        let (keys, edges) = self.edges(rows, &of)?;
        let scans = keys.into_iter().zip(&edges);
        let mut scans: Vec<Scan> =
            scans.map(|(key, edge)| Scan::all(key).from(edge).to(edge)).collect();
        let wanted = self.plan.whole.convert_columns(&rows.take_whole(&of)?)?;
        let (mut found, mut there) = (Vec::new(), vec![0; of.len()]);
        let mut looking: Vec<usize> = (0..of.len()).collect();
        while !looking.is_empty() {
            let (mut slots, mut ends, mut more) = (Vec::new(), Vec::new(), Vec::new());
            for &at in &looking {
                more.push(self.rows.scan(&mut scans[at], LOOK, &mut slots));
                ends.push(slots.len());
            }
            let whole = self.plan.whole.convert_columns(&self.columns(&slots)?)?;
            let (mut next, mut start) = (Vec::new(), 0);
            for ((&at, &end), more) in looking.iter().zip(&ends).zip(more) {
                let missing = rows.gone[at].leaving() - there[at];
                let equal = (start..end).filter(|&slot| whole.row(slot) == wanted.row(at));
                let before = found.len();
                found.extend(equal.take(missing).map(|slot| slots[slot]));
                there[at] += found.len() - before;
                if more && there[at] < rows.gone[at].leaving() {
                    next.push(at);
                }
                start = end;
            }
            looking = next;
        }
        rows.settle(&there);
        self.rows.remove_slots(&found);
        Ok(())
    }

    /// Of rows of a batch the slots of their keys, and where rows of their order are.
    fn edges(&mut self, rows: &Incoming, of: &[u32]) -> Result<(Vec<u32>, Vec<Edge>)> {
        let mut keys = Vec::new();
        self.rows.lookup(&rows.keys_of(of)?, of.len(), &mut keys)?;
        let order = rows.take(&self.plan.order, of)?;
        Ok((keys, self.rows.edges(&order, of.len())?))
    }

    /// Puts rows that come behind those that are equal in their order.
    fn put(&mut self, rows: &Incoming) -> Result<()> {
        let come = &rows.come;
        if come.is_empty() {
            return Ok(());
        }
        let (keys, order) = (rows.keys_of(come)?, rows.take(&self.plan.order, come)?);
        let row = rows.take(&self.plan.row, come)?;
        Ok(self.rows.append(&keys, &order, &row, come.len())?)
    }
}

impl Operator for Rank {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows]
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        Ok(vec![TableKeys { table: 0, keys: self.keys(batch), rows: batch.num_rows() }])
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(changes) = self.take_in(&batch, now(cx))? {
            out.push(changes);
        }
        Ok(Progress::Done)
    }
}
