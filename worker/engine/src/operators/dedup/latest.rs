//! The latest row of each key.

use arrow::array::UInt32Array;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Table, TableError};

use super::plan::Plan;
use super::replaced::Replaced;
use super::spec::Dedup;
use crate::operator::TableKeys;
use crate::operators::rows::{gone, now, take_all};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// The operator, of one subtask.
#[derive(Debug)]
pub(super) struct Last {
    plan: Plan,
    rows: Keyed,
    replaced: Replaced,
}

impl Last {
    pub(super) fn new(spec: &Dedup, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        Ok(Self {
            rows: Keyed::new(plan.table(), groups).map_err(OperatorError::user)?,
            replaced: Replaced::new(&plan)?,
            plan,
        })
    }

    pub(super) fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        if self.plan.spec.ttl.is_some() {
            self.rows.set_clock(now);
        }
        gone(batch, crate::aggregate::InputRows::Appended)?;
        let winners = self.plan.winners(batch)?;
        let mut slots = Vec::new();
        self.rows.lookup(&winners.keys, winners.numbers.len(), &mut slots)?;
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
        let known = newer.values().iter().map(|&at| slots[at as usize]);
        let known: Vec<bool> = known.map(|slot| slot != ABSENT).collect();
        let old: Vec<u32> =
            newer.values().iter().map(|&at| slots[at as usize]).filter(|s| *s != ABSENT).collect();
        let before = self.plan.read(&self.rows, &old)?;
        self.rows.resolve(&keys, newer.len(), &mut slots)?;
        for (column, values) in rows.iter().enumerate() {
            self.rows.write(column, &slots, values)?;
        }
        self.replaced.changes(
            &self.plan,
            &keys,
            &before,
            &rows,
            known.into_iter().map(|known| (known, true)),
        )
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
