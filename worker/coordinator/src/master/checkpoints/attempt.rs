//! One attempt at a checkpoint, from its trigger to its acks.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::{EnumeratorState, TaskSnapshot};
use weir_protocol::control;
use weir_protocol::view::CheckpointTask;
use weir_protocol::{Attempt, Subtask, VertexId};

use super::records::Parts;
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
    /// What it took so far, for people.
    pub(crate) parts: Parts,
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
        let (acks, parts) = (BTreeMap::new(), Parts::default());
        Self { attempt, began_ms, enumerators, waiting, acks, parts }
    }

    /// Takes a task's ack; a repeated one counts once. True when it was the last one missing.
    pub(crate) fn acknowledge(
        &mut self,
        ack: &control::Ack,
        snapshot: TaskSnapshot,
        now_ms: u64,
    ) -> bool {
        let task = (VertexId(ack.vertex), Subtask(ack.subtask));
        if self.waiting.remove(&task) {
            let took_ms = now_ms.saturating_sub(self.began_ms);
            self.parts.acknowledged_ms = took_ms;
            self.parts.tasks.push(part(ack, &snapshot, took_ms));
            self.acks.insert(task, snapshot);
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

fn part(ack: &control::Ack, snapshot: &TaskSnapshot, took_ms: u64) -> CheckpointTask {
    let stored = snapshot.operators.values().flat_map(|state| {
        let tables = state.tables.iter().map(|table| table.len);
        state.segments.iter().map(|segment| segment.len).chain(tables)
    });
    let known_us = ack.align_us + ack.freeze_us + ack.upload_us;
    CheckpointTask {
        vertex: ack.vertex,
        subtask: ack.subtask,
        trigger_us: (took_ms * 1000).saturating_sub(known_us),
        align_us: ack.align_us,
        freeze_us: ack.freeze_us,
        upload_us: ack.upload_us,
        bytes: stored.sum(),
    }
}
