//! One attempt at a checkpoint, from its trigger to its acks.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::{EnumeratorState, TaskSnapshot};
use weir_protocol::{Attempt, Subtask, VertexId};

use crate::master::plan::TaskId;

/// The attempt that tasks freeze and upload for.
#[derive(Clone, Debug)]
pub(crate) struct PendingCheckpoint {
    /// Its number.
    pub(crate) attempt: Attempt,
    /// When its trigger was sent.
    pub(crate) began_ms: u64,
    /// The enumerators' side, taken when the trigger was sent.
    pub(crate) enumerators: BTreeMap<VertexId, EnumeratorState>,
    waiting: BTreeSet<TaskId>,
    acks: BTreeMap<TaskId, TaskSnapshot>,
}

impl PendingCheckpoint {
    /// An attempt that has just been triggered.
    #[must_use]
    pub(crate) fn new(
        attempt: Attempt,
        began_ms: u64,
        enumerators: BTreeMap<VertexId, EnumeratorState>,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> Self {
        let waiting = tasks.into_iter().collect();
        Self { attempt, began_ms, enumerators, waiting, acks: BTreeMap::new() }
    }

    /// Takes a task's ack; a repeated one counts once. True when it was the last one missing.
    pub(crate) fn acknowledge(&mut self, task: TaskId, ack: TaskSnapshot) -> bool {
        if self.waiting.remove(&task) {
            self.acks.insert(task, ack);
            return self.waiting.is_empty();
        }
        false
    }

    /// A task's ack, once it is there.
    #[must_use]
    pub(crate) fn ack(&self, vertex: VertexId, subtask: Subtask) -> Option<&TaskSnapshot> {
        self.acks.get(&(vertex, subtask))
    }

    /// The first task that has not answered, and how many more there are.
    #[must_use]
    pub(crate) fn missing(&self) -> Option<(TaskId, usize)> {
        self.waiting.first().map(|task| (*task, self.waiting.len() - 1))
    }
}
