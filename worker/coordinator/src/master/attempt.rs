//! One attempt at a checkpoint, from its trigger to its acks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weir_engine::operator::Committable;
use weir_engine::source::Split;
use weir_protocol::control::{self, SegmentRef};
use weir_protocol::{Attempt, OperatorCounts, OperatorUid, Subtask, VertexId};

use super::splits::EnumeratorState;

/// A task by vertex and subtask.
pub type TaskId = (VertexId, Subtask);

/// One task's part of an attempt.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskAck {
    /// Per operator of the chain.
    pub operators: BTreeMap<OperatorUid, TaskPart>,
    /// The merged watermark at the cut.
    pub watermark: Option<i64>,
}

/// One operator's part of a [`TaskAck`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskPart {
    /// Keyed state, everything since the last published manifest.
    pub segments: Vec<SegmentRef>,
    /// Values that are not keyed.
    pub items: Vec<Bytes>,
    /// Staged output since the last published manifest.
    pub committables: Vec<Committable>,
    /// Splits being read.
    pub splits: Vec<Split>,
    /// What it has counted since its task began.
    pub counts: OperatorCounts,
}

impl TaskAck {
    /// Reads a worker's ack.
    ///
    /// # Errors
    /// When a split or a committable is not the JSON it should be.
    pub fn decode(ack: &control::Ack) -> Result<Self, serde_json::Error> {
        let mut operators = BTreeMap::new();
        for state in &ack.operators {
            let committables = state.committables.iter().map(|c| serde_json::from_slice(c));
            let splits = state.splits_json.iter().map(|s| serde_json::from_slice(s));
            let part = TaskPart {
                segments: state.segments.clone(),
                items: state.items.iter().map(|i| Bytes::copy_from_slice(i)).collect(),
                committables: committables.collect::<Result<_, _>>()?,
                splits: splits.collect::<Result<_, _>>()?,
                counts: state.counts.map(Into::into).unwrap_or_default(),
            };
            operators.insert(OperatorUid(state.uid.clone()), part);
        }
        Ok(Self { operators, watermark: ack.watermark })
    }
}

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
    acks: BTreeMap<TaskId, TaskAck>,
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
    pub fn acknowledge(&mut self, task: TaskId, ack: TaskAck) -> bool {
        if self.waiting.remove(&task) {
            self.acks.insert(task, ack);
            return self.waiting.is_empty() && self.stage == Stage::Collecting;
        }
        false
    }

    /// A task's ack, once it is there.
    #[must_use]
    pub fn ack(&self, vertex: VertexId, subtask: Subtask) -> Option<&TaskAck> {
        self.acks.get(&(vertex, subtask))
    }

    /// The first task that has not answered, and how many more there are.
    #[must_use]
    pub fn missing(&self) -> Option<(TaskId, usize)> {
        self.waiting.first().map(|task| (*task, self.waiting.len() - 1))
    }
}
