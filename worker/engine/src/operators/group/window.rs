//! Groups of windows: their results leave when the watermark has passed the window's end, and where
//! it is wanted before that and after it as well, as rows change them.

use arrow::array::{Array, AsArray, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use weir_protocol::Counter;
use weir_state::table::{Groups, Table, TableSpec};

use super::operator::Group;
use super::plan::Plan;
use super::spec::{Ends, GroupAggregate};
use crate::operator::{OutputTag, Restored, TableKeys};
use crate::operators::due::{Due, DueKeys};
use crate::operators::passed::Passed;
use crate::operators::rows::now;
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Groups that are given out together.
const TOGETHER: usize = 1_024;

/// When the windows of groups end, and when they are forgotten.
pub(super) fn due(plan: &Plan) -> TableSpec {
    TableSpec::timers("due", plan.groups.key.clone())
}

/// An aggregation of windows, of one subtask.
#[derive(Debug)]
pub(super) struct WindowGroup {
    group: Group,
    due: Due,
    /// The column of the window's end.
    end: usize,
    ends: Ends,
    /// Windows that end there or before have been given out.
    passed: Passed,
}

impl WindowGroup {
    pub(super) fn new(spec: &GroupAggregate, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let Some(ends) = spec.ends.filter(|ends| ends.at < spec.keys.len()) else {
            return Err(OperatorError::internal("groups of windows are not parted by their ends"));
        };
        let end = spec.keys[ends.at];
        let end_type = spec.input.fields().get(end).map(|field| field.data_type());
        if !matches!(end_type, Some(DataType::Timestamp(..))) {
            return Err(OperatorError::internal("a window's end is no timestamp"));
        }
        Ok(Self {
            group: Group::new(spec, groups)?,
            due: Due::new(due(&plan), groups, TOGETHER)?,
            end,
            ends,
            passed: Passed::default(),
        })
    }

    /// Where the windows of a batch's rows end.
    fn ends(&self, batch: &Batch) -> Result<Vec<EventTime>> {
        let ends = batch.records().column(self.end);
        let ends = ends
            .as_primitive_opt::<TimestampMillisecondType>()
            .filter(|ends| ends.null_count() == 0)
            .ok_or_else(|| OperatorError::internal("a window's end is no timestamp"))?;
        Ok(ends.values().to_vec())
    }

    /// When nothing comes to a window any more.
    fn closes(&self, end: EventTime) -> EventTime {
        end.saturating_add(self.ends.lateness)
    }

    /// Takes in rows; `given`: their windows were given out. What they change leaves if it is wanted.
    fn take_in(
        &mut self,
        cx: &Context,
        batch: &Batch,
        given: bool,
        out: &mut Output,
    ) -> Result<()> {
        let ends = Int64Array::from(self.ends(batch)?);
        let keys = self.group.keys(batch.records());
        if !given {
            self.due.timers.set(&keys, &ends)?;
        }
        if self.ends.lateness > 0 {
            let closes = ends.values().iter().map(|&end| self.closes(end));
            self.due.timers.set(&keys, &Int64Array::from_iter_values(closes))?;
        }
        let leaves = if given { self.ends.late } else { self.ends.early };
        if !leaves {
            return self.group.keep(batch, now(cx));
        }
        if let Some(changes) = self.group.take_in(batch, now(cx))? {
            out.push(changes);
        }
        Ok(())
    }

    /// Groups whose timers are due: which results leave, and which are forgotten.
    fn decide(&self, due: &DueKeys) -> Result<(Vec<u32>, Vec<u32>)> {
        let ends = due.keys.get(self.ends.at).and_then(|ends| ends.as_primitive_opt());
        let ends: &TimestampMillisecondArray =
            ends.ok_or_else(|| OperatorError::internal("a window's end is no timestamp"))?;
        let (mut given, mut forgotten) = (Vec::new(), Vec::new());
        for (row, (&time, &end)) in (0..).zip(due.times.values().iter().zip(ends.values())) {
            if time == end && !self.ends.early {
                given.push(row);
            }
            if time >= self.closes(end) {
                forgotten.push(row);
            }
        }
        Ok((given, forgotten))
    }
}

impl Operator for WindowGroup {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let mut tables = self.group.tables();
        tables.push(&mut self.due.timers);
        tables
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        self.group.keys_of(input, batch)
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
        let ends = self.ends(&batch)?;
        let keys = self.group.keys(batch.records());
        let passed = self.passed.of(&keys, batch.num_rows(), cx.max_parallelism);
        let behind = |row: usize| match batch.behind() {
            Some(behind) if behind.is_valid(row) => behind.value(row),
            _ => EventTime::MIN,
        };
        let (mut late, mut given, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (&end, &passed)) in ends.iter().zip(&passed).enumerate() {
            if self.closes(end) <= passed.max(behind(row)) {
                late.push(row as u32);
            } else if end <= passed {
                given.push(row as u32);
            } else {
                open.push(row as u32);
            }
        }
        if late.is_empty() && given.is_empty() {
            self.take_in(cx, &batch, false, out)?;
            return Ok(Progress::Done);
        }
        if !late.is_empty() {
            cx.metrics.add(Counter::Late, late.len());
            out.push_to(OutputTag::Late, batch.take(&late.into())?);
        }
        for (rows, given) in [(open, false), (given, true)] {
            if !rows.is_empty() {
                self.take_in(cx, &batch.take(&rows.into())?, given, out)?;
            }
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
        Ok(match self.due.next(self.passed.done())? {
            Some(due) => self.group.named(&due.keys, due.len()),
            None => Vec::new(),
        })
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        if let Some(due) = self.due.take() {
            let (given, forgotten) = self.decide(&due)?;
            if let Some(results) = self.group.results_of(&due.keys, &given.into())? {
                out.push(results);
            }
            self.group.forget_all(&due.keys, &forgotten.into())?;
        }
        Ok(self.due.progress(self.passed.done()))
    }

    fn state_bytes(&self) -> usize {
        self.group.state_bytes()
    }
}
