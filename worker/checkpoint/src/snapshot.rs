//! What a task hands over for a checkpoint, and what a subtask is handed back: the control protocol
//! carries both as JSON, without looking inside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_protocol::{Committable, KeyGroupRange, OperatorUid, Subtask};

use crate::manifest::{Manifest, OperatorState};

/// One task's part of an attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSnapshot {
    /// Of each operator of its chain.
    pub operators: BTreeMap<OperatorUid, OperatorState>,
    /// Output staged since the last published manifest, in order.
    pub committables: Vec<Committable>,
    /// The merged watermark at the cut, in milliseconds; absent when none was received.
    pub watermark: Option<i64>,
}

/// What one subtask of an operator restores.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubtaskRestore {
    /// The operator.
    pub uid: OperatorUid,
    /// Which of its subtasks.
    pub subtask: Subtask,
    /// Its share of the state.
    pub state: OperatorState,
    /// What all of its key groups have reached, in milliseconds.
    pub watermark: Option<i64>,
    /// Those of them that were further.
    pub ahead: Vec<(KeyGroupRange, i64)>,
}

impl Manifest {
    /// What the `subtask` of now `subtasks` restores of an operator that runs in the chain that
    /// `head` begins. `None` when nothing is stored.
    #[must_use]
    pub fn restore_of(
        &self,
        uid: &OperatorUid,
        head: &OperatorUid,
        subtask: Subtask,
        subtasks: u32,
    ) -> Option<SubtaskRestore> {
        // An operator that began a chain of its own when it was stored goes on from there.
        let watermark = self.watermark(uid).or_else(|| self.watermark(head));
        let stored = self.operators.get(uid);
        if stored.is_none() && watermark.is_none() {
            return None;
        }
        let range = KeyGroupRange::of_subtask(subtask, subtasks, self.max_parallelism);
        let reached = watermark.map(|w| w.reached_by(range, self.max_parallelism));
        let reached = reached.unwrap_or_default();
        Some(SubtaskRestore {
            uid: uid.clone(),
            subtask,
            state: stored.map(|s| s.state.share(subtask, subtasks, range)).unwrap_or_default(),
            watermark: reached.least,
            ahead: reached.ahead,
        })
    }
}
