//! One attempt at a checkpoint, from its trigger to its acks.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::{EnumeratorState, TaskSnapshot};
use weir_protocol::{Attempt, Subtask, VertexId};

/// A task by vertex and subtask.
pub type TaskId = (VertexId, Subtask);

/// Where an attempt is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Tasks freeze and upload.
    Collecting,
    /// The manifest is on its way to the store. It cannot be given up any more, only be decided.
    Publishing,
}

/// The attempt that is under way.
#[derive(Clone, Debug)]
pub struct PendingCheckpoint {
    /// Its number.
    pub attempt: Attempt,
    /// Tasks stay frozen behind its barrier.
    pub freeze: bool,
    /// When its trigger was sent.
    pub began_ms: u64,
    /// Where it is.
    pub stage: Stage,
    /// The enumerators' side, taken when the trigger was sent.
    pub enumerators: BTreeMap<VertexId, EnumeratorState>,
    waiting: BTreeSet<TaskId>,
    acks: BTreeMap<TaskId, TaskSnapshot>,
}

impl PendingCheckpoint {
    /// An attempt that has just been triggered.
    #[must_use]
    pub fn new(
        attempt: Attempt,
        freeze: bool,
        began_ms: u64,
        enumerators: BTreeMap<VertexId, EnumeratorState>,
        tasks: impl Iterator<Item = TaskId>,
    ) -> Self {
        Self {
            attempt,
            freeze,
            began_ms,
            stage: Stage::Collecting,
            enumerators,
            waiting: tasks.collect(),
            acks: BTreeMap::new(),
        }
    }

    /// Takes a task's ack; a repeated one counts once. True when it was the last one missing.
    pub fn acknowledge(&mut self, task: TaskId, ack: TaskSnapshot) -> bool {
        if self.waiting.remove(&task) {
            self.acks.insert(task, ack);
            return self.waiting.is_empty() && self.stage == Stage::Collecting;
        }
        false
    }

    /// A task's ack, once it is there.
    #[must_use]
    pub fn ack(&self, vertex: VertexId, subtask: Subtask) -> Option<&TaskSnapshot> {
        self.acks.get(&(vertex, subtask))
    }

    /// The first task that has not answered, and how many more there are.
    #[must_use]
    pub fn missing(&self) -> Option<(TaskId, usize)> {
        self.waiting.first().map(|task| (*task, self.waiting.len() - 1))
    }
}
