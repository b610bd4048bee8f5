//! What became of the newest attempts, for people: nothing is decided by it.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_protocol::view::{AttemptResult, CheckpointRecord, CheckpointTask};

use super::Purpose;

/// Attempts that are kept.
const MAX_RECORDS: usize = 100;
/// Parts of tasks that are kept over all of them; older attempts lose theirs first.
const MAX_TASKS: usize = 20_000;

/// The newest attempts that are over, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    newest: VecDeque<Arc<CheckpointRecord>>,
    /// Grows with each of them.
    count: u64,
}

impl Records {
    pub(crate) fn push(&mut self, record: CheckpointRecord) {
        self.count += 1;
        if self.newest.len() >= MAX_RECORDS {
            self.newest.pop_front();
        }
        self.newest.push_back(Arc::new(record));
        let mut room = MAX_TASKS;
        for record in self.newest.iter_mut().rev() {
            match room.checked_sub(record.tasks.len()) {
                Some(left) => room = left,
                None => Arc::make_mut(record).tasks = Vec::new(),
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn to_vec(&self) -> Vec<Arc<CheckpointRecord>> {
        self.newest.iter().cloned().collect()
    }
}

/// An attempt that is over, as far as is known while it is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// From the trigger to the last acknowledgement so far.
    pub(crate) acknowledged_ms: u64,
    pub(crate) tasks: Vec<CheckpointTask>,
}

impl Parts {
    /// The record of an attempt; whoever ends it fills in what it came to.
    pub(crate) fn into_record(
        mut self,
        attempt: u64,
        purpose: &Purpose,
        took_ms: u64,
    ) -> CheckpointRecord {
        self.tasks.sort_unstable_by_key(|task| (task.vertex, task.subtask));
        CheckpointRecord {
            attempt,
            purpose: match purpose {
                Purpose::Interval => "interval".to_owned(),
                Purpose::Savepoint(saving) => format!("savepoint {}", saving.name),
                Purpose::Hold { pin: Some(name), .. } => format!("savepoint {name} and stop"),
                Purpose::Hold { is_last: true, .. } => "the job's end".to_owned(),
                Purpose::Hold { .. } => "rescale".to_owned(),
            },
            took_ms,
            acknowledged_ms: self.acknowledged_ms,
            written_bytes: self.tasks.iter().map(|task| task.bytes).sum(),
            tasks: self.tasks,
            result: AttemptResult::Failed,
            ..CheckpointRecord::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_attempts_lose_their_tasks_and_then_go() {
        let mut records = Records::default();
        for attempt in 0..150 {
            let tasks = vec![CheckpointTask::default(); 300];
            records.push(CheckpointRecord { attempt, tasks, ..CheckpointRecord::default() });
        }
        let kept = records.to_vec();
        assert_eq!((kept.len(), kept[0].attempt, records.count()), (MAX_RECORDS, 50, 150));
        let parts: usize = kept.iter().map(|record| record.tasks.len()).sum();
        assert!(parts <= MAX_TASKS && parts > MAX_TASKS - 300, "{parts}");
        assert!(kept[0].tasks.is_empty() && !kept[99].tasks.is_empty());
    }
}
