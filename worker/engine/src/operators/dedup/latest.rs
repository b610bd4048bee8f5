//! The latest row of each key: by event time, or as they come, until a row of the key goes.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::interleave;
use arrow::row::{RowConverter, SortField};
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Table, TableError, TableSpec};

use super::plan::{Plan, Winners};
use super::spec::{Dedup, Keep};
use crate::aggregate::InputRows;
use crate::operator::TableKeys;
use crate::operators::rows::{gone, now, take_all};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress, RowKind};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

pub(super) fn table(plan: &Plan) -> TableSpec {
    TableSpec::keyed("rows", plan.key_fields.clone(), plan.row_fields.clone())
        .with_expiry(plan.expiry)
}

/// The operator, of one subtask.
#[derive(Debug)]
pub(super) struct Latest {
    plan: Plan,
    rows: Keyed,
    whole: RowConverter,
}

/// What becomes of a key.
#[derive(Clone, Copy)]
struct Change {
    /// Whether it had a row.
    was: bool,
    /// Whether it has one now.
    is: bool,
}

impl Latest {
    pub(super) fn new(spec: &Dedup, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let fields = plan.row_fields.iter().map(|f| SortField::new(f.data_type.clone()));
        Ok(Self {
            rows: Keyed::new(table(&plan), groups).map_err(OperatorError::user)?,
            whole: RowConverter::new(fields.collect())?,
            plan,
        })
    }

    pub(super) fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        if self.plan.spec.ttl.is_some() {
            self.rows.set_clock(now);
        }
        if self.plan.spec.keep != Keep::Newest {
            gone(batch, InputRows::Appended)?;
        }
        let winners = self.plan.winners(batch)?;
        let mut slots = Vec::new();
        self.rows.lookup(&winners.keys, winners.numbers.len(), &mut slots)?;
        let counts = self.counts(&winners, &slots)?;
        let (mut at, mut changes, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (key, &row) in winners.numbers.values().iter().enumerate() {
            let change = Change { was: slots[key] != ABSENT, is: !batch.kind(row as usize).goes() };
            if counts[key] && (change.was || change.is) {
                at.push(key as u32);
                changes.push(change);
                known.extend(change.was.then_some(slots[key]));
            }
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let at = UInt32Array::from(at);
        let (keys, rows) = (take_all(&winners.keys, &at)?, take_all(&winners.rows, &at)?);
        let before = (0..self.plan.row.len()).map(|column| Ok(self.rows.read(column, &known)?));
        let before = before.collect::<Result<Vec<_>>>()?;
        let left = changes.iter().filter(|change| change.was).zip(&known);
        let left: Vec<u32> = left.filter(|(change, _)| !change.is).map(|(_, &s)| s).collect();
        self.rows.remove(&left);
        self.write(&keys, &rows, &changes)?;
        self.changes(&keys, &before, &rows, &changes)
    }

    /// Whether the row of each key counts beside the one that is there.
    fn counts(&self, winners: &Winners, slots: &[u32]) -> Result<Vec<bool>> {
        if self.plan.spec.keep == Keep::Newest {
            return Ok(vec![true; slots.len()]);
        }
        let times = self.rows.column::<i64>(self.plan.time).map_err(TableError::from)?;
        let later = |(&slot, &time): (&u32, &i64)| {
            slot == ABSENT || times.get(slot).is_none_or(|known| time >= known)
        };
        Ok(slots.iter().zip(&winners.times).map(later).collect())
    }

    /// Writes the rows of those keys that have one now.
    fn write(&mut self, keys: &[ArrayRef], rows: &[ArrayRef], changes: &[Change]) -> Result<()> {
        let mut slots = Vec::new();
        let mut put = |keys: &[ArrayRef], rows: &[ArrayRef], len: usize| -> Result<()> {
            self.rows.resolve(keys, len, &mut slots)?;
            for (column, values) in rows.iter().enumerate() {
                self.rows.write(column, &slots, values)?;
            }
            Ok(())
        };
        if changes.iter().all(|change| change.is) {
            return put(keys, rows, changes.len());
        }
        let stays = (0..).zip(changes).filter(|(_, change)| change.is);
        let stays: UInt32Array = stays.map(|(at, _)| at).collect();
        put(&take_all(keys, &stays)?, &take_all(rows, &stays)?, stays.len())
    }

    /// What leaves. `before` are the rows of those keys that had one, `after` those of all.
    fn changes(
        &self,
        keys: &[ArrayRef],
        before: &[ArrayRef],
        after: &[ArrayRef],
        changes: &[Change],
    ) -> Result<Option<Batch>> {
        let (old, new) = (self.whole.convert_columns(before)?, self.whole.convert_columns(after)?);
        let (mut found, mut owners, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        let mut leave = |side: usize, at: usize, key: usize, kind: RowKind| {
            found.push((side, at));
            owners.push(key as u32);
            kinds.push(kind);
        };
        let mut at_old = 0;
        for (key, change) in changes.iter().enumerate() {
            match (change.was, change.is) {
                (false, _) => leave(1, key, key, RowKind::Insert),
                (true, false) => leave(0, at_old, key, RowKind::Delete),
                // Who stands behind forgets a row that it hears nothing of.
                (true, true) if old.row(at_old) != new.row(key) || self.plan.spec.ttl.is_some() => {
                    leave(0, at_old, key, RowKind::UpdateBefore);
                    leave(1, key, key, RowKind::UpdateAfter);
                }
                (true, true) => {}
            }
            at_old += usize::from(change.was);
        }
        if found.is_empty() {
            return Ok(None);
        }
        let keys = take_all(keys, &UInt32Array::from(owners))?;
        let rows = before.iter().zip(after).map(|(before, after)| {
            let sides: [&dyn Array; 2] = [before, after];
            Ok(interleave(&sides, &found)?)
        });
        let columns = self.plan.join(&keys, &rows.collect::<Result<Vec<_>>>()?);
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(self.plan.records(columns)?);
        Ok(Some(batch.with_kinds((!inserts).then(|| kinds.into()))))
    }
}

impl Operator for Latest {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows]
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        Ok(vec![TableKeys { table: 0, keys: self.plan.keys(batch), rows: batch.num_rows() }])
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
