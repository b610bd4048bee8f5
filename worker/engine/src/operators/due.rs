//! Keys whose timers are due: what an operator gives out when the watermark has passed it.

use arrow::array::{ArrayRef, Int64Array};
use weir_state::table::{Groups, TableSpec, Timers};

use crate::operator::TableKeys;
use crate::{EventTime, OperatorError, Progress};

/// Timers of keys, and those of them that are next.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) timers: Timers,
    /// How many are due together.
    most: usize,
    /// Those whose rows are being brought into memory.
    next: Option<DueKeys>,
}

/// Keys that are due; a key may be among them several times.
#[derive(Debug)]
pub(super) struct DueKeys {
    pub(super) keys: Vec<ArrayRef>,
    /// When each was due.
    pub(super) times: Int64Array,
}

impl DueKeys {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}

impl Due {
    /// No timers, of which at most so many are due together.
    pub(super) fn new(spec: TableSpec, groups: Groups, most: usize) -> Result<Self, OperatorError> {
        let timers = Timers::new(spec, groups).map_err(OperatorError::user)?;
        Ok(Self { timers, most, next: None })
    }

    /// Whether timers are due at this time or before.
    pub(super) fn progress(&self, passed: EventTime) -> Progress {
        match self.timers.next().is_some_and(|time| time <= passed) {
            true => Progress::More,
            false => Progress::Done,
        }
    }

    /// The keys of timers that are due next; they stay so until [`Due::take`].
    pub(super) fn next(&mut self, passed: EventTime) -> Result<Option<&DueKeys>, OperatorError> {
        if self.next.is_none() && self.progress(passed) == Progress::More {
            let (keys, times) = self.timers.due(passed, self.most)?;
            self.next = Some(DueKeys { keys, times });
        }
        Ok(self.next.as_ref())
    }

    /// The keys of [`Due::next`], whose rows are looked at in these tables.
    pub(super) fn named<const N: usize>(
        &mut self,
        passed: EventTime,
        tables: [usize; N],
    ) -> Result<Vec<TableKeys>, OperatorError> {
        let Some(next) = self.next(passed)? else { return Ok(Vec::new()) };
        let of = |table| TableKeys { table, keys: next.keys.clone(), rows: next.len() };
        Ok(tables.map(of).into())
    }

    /// Those keys, whose rows are in memory by now.
    pub(super) fn take(&mut self) -> Option<DueKeys> {
        self.next.take()
    }
}
