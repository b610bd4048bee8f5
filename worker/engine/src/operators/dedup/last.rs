//! The latest row of each key.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::interleave;
use arrow::row::{RowConverter, SortField};
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Table, TableError, TableSpec};

use super::plan::Plan;
use super::spec::Dedup;
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
pub(super) struct Last {
    plan: Plan,
    rows: Keyed,
    whole: RowConverter,
}

impl Last {
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
        gone(batch, crate::aggregate::InputRows::Appended)?;
        let winners = self.plan.winners(batch)?;
        let keys = winners.times.len();
        let mut slots = Vec::new();
        self.rows.lookup(&winners.keys, keys, &mut slots)?;
        let counts: Vec<bool> = {
            let times = self.rows.column::<i64>(self.plan.time).map_err(TableError::from)?;
            let later = |(&slot, &time): (&u32, &i64)| {
                slot == ABSENT || times.get(slot).is_none_or(|known| time >= known)
            };
            slots.iter().zip(&winners.times).map(later).collect()
        };
        let newer: UInt32Array =
            (0..).zip(&counts).filter(|(_, counts)| **counts).map(|(at, _)| at).collect();
        if newer.is_empty() {
            return Ok(None);
        }
        let keys = take_all(&winners.keys, &newer)?;
        let rows = take_all(&winners.rows, &newer)?;
        let known: Vec<bool> =
            newer.values().iter().map(|&at| slots[at as usize] != ABSENT).collect();
        let old: Vec<u32> =
            newer.values().iter().map(|&at| slots[at as usize]).filter(|s| *s != ABSENT).collect();
        let before = self.read(&old)?;
        self.rows.resolve(&keys, newer.len(), &mut slots)?;
        for (column, values) in rows.iter().enumerate() {
            self.rows.write(column, &slots, values)?;
        }
        self.changes(&keys, &before, &rows, &known)
    }

    fn read(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        (0..self.plan.row.len()).map(|column| Ok(self.rows.read(column, slots)?)).collect()
    }

    /// What rows that are newer than those that are known change.
    fn changes(
        &self,
        keys: &[ArrayRef],
        before: &[ArrayRef],
        after: &[ArrayRef],
        known: &[bool],
    ) -> Result<Option<Batch>> {
        let (old, new) = (self.whole.convert_columns(before)?, self.whole.convert_columns(after)?);
        let (mut found, mut owners, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        let mut at_old = 0;
        for (at, known) in known.iter().enumerate() {
            if !known {
                found.push((1, at));
                owners.push(at as u32);
                kinds.push(RowKind::Insert);
                continue;
            }
            let same = old.row(at_old) == new.row(at);
            // Who stands behind forgets a row that it hears nothing of.
            if !same || self.plan.spec.ttl.is_some() {
                found.extend([(0, at_old), (1, at)]);
                owners.extend([at as u32, at as u32]);
                kinds.extend([RowKind::UpdateBefore, RowKind::UpdateAfter]);
            }
            at_old += 1;
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

impl Operator for Last {
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
