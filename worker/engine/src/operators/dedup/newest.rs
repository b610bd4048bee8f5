//! The newest row of each key, until a row of the key goes.

use arrow::array::UInt32Array;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Table};

use super::plan::Plan;
use super::replaced::Replaced;
use super::spec::Dedup;
use crate::operator::TableKeys;
use crate::operators::rows::{now, take_all};
use crate::{Batch, Context, Operator, OperatorError, Output, Progress, RowKind};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// The operator, of one subtask.
#[derive(Debug)]
pub(super) struct Newest {
    plan: Plan,
    rows: Keyed,
    replaced: Replaced,
}

impl Newest {
    pub(super) fn new(spec: &Dedup, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        Ok(Self {
            rows: Keyed::new(plan.table(), groups).map_err(OperatorError::user)?,
            replaced: Replaced::new(&plan)?,
            plan,
        })
    }

    fn take_in(&mut self, batch: &Batch, now: u32) -> Result<Option<Batch>> {
        if self.plan.spec.ttl.is_some() {
            self.rows.set_clock(now);
        }
        let winners = self.plan.winners(batch)?;
        let stays = |&row: &u32| {
            let kind = batch.kinds().and_then(|kinds| kinds.get(row as usize));
            !matches!(kind, Some(RowKind::UpdateBefore | RowKind::Delete))
        };
        let stay: Vec<bool> = winners.numbers.values().iter().map(stays).collect();
        let mut slots = Vec::new();
        self.rows.lookup(&winners.keys, stay.len(), &mut slots)?;
        let known = slots.iter().map(|&slot| slot != ABSENT);
        let sides: Vec<(bool, bool)> = known.zip(stay.iter().copied()).collect();
        slots.retain(|&slot| slot != ABSENT);
        let before = self.plan.read(&self.rows, &slots)?;
        let gone = sides.iter().filter(|(was, _)| *was).zip(&slots);
        let gone: Vec<u32> = gone.filter(|((_, is), _)| !is).map(|(_, &slot)| slot).collect();
        self.rows.remove(&gone);
        let new: UInt32Array =
            (0..).zip(&stay).filter(|(_, stays)| **stays).map(|(at, _)| at).collect();
        self.rows.resolve(&take_all(&winners.keys, &new)?, new.len(), &mut slots)?;
        for (column, values) in take_all(&winners.rows, &new)?.iter().enumerate() {
            self.rows.write(column, &slots, values)?;
        }
        self.replaced.changes(&self.plan, &winners.keys, &before, &winners.rows, sides.into_iter())
    }
}

impl Operator for Newest {
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
