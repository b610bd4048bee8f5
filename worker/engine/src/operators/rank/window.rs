//! The first rows of windows: given out once, when the watermark has passed a window's end; or of any
//! key, when everything has come.

use arrow::array::{Array, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::TimestampMillisecondType;
use weir_protocol::Counter;
use weir_state::table::{Groups, Table, TableSpec};

use super::operator::Rank;
use super::plan::Plan;
use super::spec::TopN;
use crate::aggregate::InputRows;
use crate::operator::{OutputTag, Restored, TableKeys};
use crate::operators::due::Due;
use crate::operators::passed::Passed;
use crate::operators::rows::now;
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Windows that are given out together.
const TOGETHER: usize = 1_024;
/// Rows of a batch that is given out.
const BATCH: usize = 8_192;
/// When everything has come.
const END: EventTime = EventTime::MAX - 1;

/// When the windows of keys end.
pub(super) fn due(plan: &Plan) -> TableSpec {
    TableSpec::timers("due", plan.table.key.clone())
}

/// Top-N of windows, of one subtask.
#[derive(Debug)]
pub(super) struct WindowRank {
    rank: Rank,
    due: Due,
    /// The column of the window's end; absent: rows leave when everything has come.
    end: Option<usize>,
    /// Windows that end there or before have been given out.
    passed: Passed,
}

impl WindowRank {
    pub(super) fn new(spec: &TopN, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let end = spec.window_end.filter(|_| !spec.at_end);
        if !spec.at_end && end.is_none_or(|end| !spec.keys.contains(&end)) {
            return Err(OperatorError::internal("a Top-N of windows is not parted by their ends"));
        }
        if end.is_some() && spec.input_rows == InputRows::Retracted {
            return Err(OperatorError::user(
                "a Top-N of windows takes rows that only come; its input corrects rows",
            ));
        }
        Ok(Self {
            rank: Rank::new(spec, groups)?,
            due: Due::new(due(&plan), groups, TOGETHER)?,
            end,
            passed: Passed::default(),
        })
    }

    /// Where the windows of a batch's rows end.
    fn ends<'a>(&self, batch: &'a Batch, end: usize) -> Result<&'a [EventTime]> {
        let ends = batch.records().column(end);
        let ends = ends
            .as_primitive_opt::<TimestampMillisecondType>()
            .filter(|ends| ends.null_count() == 0)
            .ok_or_else(|| OperatorError::internal("a window's end is no timestamp"))?;
        Ok(ends.values())
    }

    /// Which rows are late: their window was given out, or their own split's watermark had passed
    /// its end.
    fn late(&self, batch: &Batch, end: usize, groups: u32) -> Result<BooleanArray> {
        let behind = |row: usize| match batch.behind() {
            Some(behind) if behind.is_valid(row) => behind.value(row),
            _ => EventTime::MIN,
        };
        let done = self.passed.of(&self.rank.keys(batch), batch.num_rows(), groups);
        let ends = self.ends(batch, end)?.iter().zip(done).enumerate();
        Ok(ends.map(|(row, (&end, done))| Some(end <= done || end <= behind(row))).collect())
    }
}

impl Operator for WindowRank {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let mut tables = self.rank.tables();
        tables.push(&mut self.due.timers);
        tables
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        self.rank.keys_of(input, batch)
    }

    fn restore(&mut self, _cx: &mut Context, state: Restored) -> Result<()> {
        self.passed = Passed::restore(state);
        Ok(())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        mut batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(end) = self.end {
            let late = self.late(&batch, end, cx.max_parallelism)?;
            if late.true_count() > 0 {
                cx.metrics.add(Counter::Late, late.true_count());
                out.push_to(OutputTag::Late, batch.filter(late.values())?);
                batch = batch.filter(&!late.values())?;
            }
        }
        if batch.num_rows() > 0 {
            let ends = Int64Array::from(match self.end {
                Some(end) => self.ends(&batch, end)?.to_vec(),
                None => vec![END; batch.num_rows()],
            });
            self.due.timers.set(&self.rank.keys(&batch), &ends)?;
            self.rank.store(&batch, now(cx))?;
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
        if let Some(due) = self.due.take()
            && let Some(batch) = self.rank.give(&due.keys, due.len())?
        {
            let records = batch.records();
            for from in (0..records.num_rows()).step_by(BATCH) {
                let length = BATCH.min(records.num_rows() - from);
                out.push(Batch::new(records.slice(from, length)));
            }
        }
        Ok(self.due.progress(self.passed.done()))
    }
}
