//! The earliest row of each key, once it is known.
//!
//! A key's row waits in the table with a timer at its time; once given out it only says so
//! (`$given`), and its other columns are NULL.

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array, new_null_array};
use weir_protocol::Counter;
use weir_state::key_table::ABSENT;
use weir_state::table::{Field, Groups, Keyed, Table, TableError, TableSpec};

use arrow::datatypes::DataType;

use super::plan::Plan;
use super::spec::Dedup;
use crate::operator::{OutputTag, TableKeys};
use crate::operators::due::Due;
use crate::operators::rows::{gone, now, take_all};
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows that are given out together.
const TOGETHER: usize = 4_096;

/// The rows, and when they are due.
pub(super) fn tables(plan: &Plan) -> [TableSpec; 2] {
    let given = Field::new("$given", DataType::Boolean, false);
    let columns = std::iter::once(given).chain(plan.row_fields.clone()).collect();
    let rows = TableSpec::keyed("rows", plan.key_fields.clone(), columns);
    [rows.with_expiry(plan.expiry), TableSpec::timers("due", plan.key_fields.clone())]
}

/// The operator, of one subtask.
#[derive(Debug)]
pub(super) struct First {
    plan: Plan,
    rows: Keyed,
    due: Due,
    /// The last time that the watermark has passed.
    passed: EventTime,
}

impl First {
    pub(super) fn new(spec: &Dedup, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let [rows, due] = tables(&plan);
        Ok(Self {
            rows: Keyed::new(rows, groups).map_err(OperatorError::user)?,
            due: Due::new(due, groups, TOGETHER)?,
            passed: EventTime::MIN,
            plan,
        })
    }

    /// Which rows are late: their own split's watermark says that an earlier one is known.
    fn late(&self, batch: &Batch) -> Result<Option<BooleanArray>> {
        let times = self.plan.times(batch)?;
        let Some(behind) = batch.behind() else { return Ok(None) };
        // A watermark of W says that rows up to W - 1 are known; a row of just that time is not
        // late yet.
        let late = |(row, &time): (usize, &i64)| {
            Some(behind.is_valid(row) && time < behind.value(row).saturating_sub(1))
        };
        let late: BooleanArray = times.iter().enumerate().map(late).collect();
        Ok((late.true_count() > 0).then_some(late))
    }

    pub(super) fn take_in(&mut self, batch: &Batch, now: u32) -> Result<()> {
        if self.plan.spec.ttl.is_some() {
            self.rows.set_clock(now);
        }
        gone(batch, crate::aggregate::InputRows::Appended)?;
        let winners = self.plan.winners(batch)?;
        let mut slots = Vec::new();
        self.rows.lookup(&winners.keys, winners.numbers.len(), &mut slots)?;
        let (mut earlier, mut no_longer, mut old_times) = (Vec::new(), Vec::new(), Vec::new());
        {
            let given = self.rows.column::<bool>(0).map_err(TableError::from)?;
            let known = self.rows.column::<i64>(self.plan.time + 1).map_err(TableError::from)?;
            for (at, (&slot, &time)) in slots.iter().zip(&winners.times).enumerate() {
                if slot == ABSENT {
                    earlier.push(at as u32);
                } else if given.get(slot) != Some(true)
                    && let Some(known) = known.get(slot)
                    && time < known
                {
                    earlier.push(at as u32);
                    no_longer.push(at as u32);
                    old_times.push(known);
                }
            }
        }
        if earlier.is_empty() {
            return Ok(());
        }
        let no_longer = take_all(&winners.keys, &UInt32Array::from(no_longer))?;
        self.due.timers.cancel(&no_longer, &Int64Array::from(old_times))?;
        let new_times = earlier.iter().map(|&at| winners.times[at as usize]);
        let new_times = Int64Array::from_iter_values(new_times);
        let earlier = UInt32Array::from(earlier);
        let keys = take_all(&winners.keys, &earlier)?;
        self.due.timers.set(&keys, &new_times)?;
        self.rows.resolve(&keys, earlier.len(), &mut slots)?;
        for (column, values) in take_all(&winners.rows, &earlier)?.iter().enumerate() {
            self.rows.write(column + 1, &slots, values)?;
        }
        Ok(())
    }

    /// Gives out the rows of keys that are due.
    fn give(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Option<Batch>> {
        let mut slots = Vec::new();
        self.rows.lookup(keys, rows, &mut slots)?;
        let given = self.rows.column::<bool>(0).map_err(TableError::from)?;
        slots.retain(|&slot| slot != ABSENT && given.get(slot) == Some(false));
        if slots.is_empty() {
            return Ok(None);
        }
        let keys = self.rows.keys(&slots)?;
        let columns = 0..self.plan.row.len();
        let columns = columns.map(|column| Ok(self.rows.read(column + 1, &slots)?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        self.rows.touch(&slots);
        let yes: ArrayRef = std::sync::Arc::new(BooleanArray::from(vec![true; slots.len()]));
        self.rows.write(0, &slots, &yes)?;
        for (column, field) in self.plan.row_fields.iter().enumerate() {
            let nothing = new_null_array(&field.data_type, slots.len());
            self.rows.write(column + 1, &slots, &nothing)?;
        }
        Ok(Some(Batch::new(self.plan.records(self.plan.join(&keys, &columns))?)))
    }
}

impl Operator for First {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows, &mut self.due.timers]
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
        let batch = match self.late(&batch)? {
            None => batch,
            Some(late) => {
                cx.metrics.add(Counter::Late, late.true_count());
                out.push_to(OutputTag::Late, batch.filter(late.values())?);
                batch.filter(&!late.values())?
            }
        };
        if batch.num_rows() > 0 {
            self.take_in(&batch, now(cx))?;
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress> {
        self.passed = self.passed.max(mark.last_passed());
        Ok(self.due.progress(self.passed))
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>> {
        self.due.named(self.passed, [0])
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        if let Some(due) = self.due.take()
            && let Some(batch) = self.give(&due.keys, due.len())?
        {
            out.push(batch);
        }
        Ok(self.due.progress(self.passed))
    }
}
