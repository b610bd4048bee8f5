//! From a manifest to what the workers of a term build and restore.

use std::collections::BTreeMap;

use weir_checkpoint::manifest::Assignment;
use weir_checkpoint::{Manifest, SubtaskRestore};
use weir_protocol::{Subtask, VertexId, WorkerId, control};

use super::slots::SlotAssignment;
use crate::master::plan::Plan;
use crate::master::sources::SourceSplits;
use crate::wire::{encode, encode_all};

/// The splits of every source at the beginning of a term.
#[must_use]
pub(crate) fn build_splits(
    plan: &Plan,
    parallelism: u32,
    head: &Manifest,
) -> BTreeMap<VertexId, SourceSplits> {
    let sources = plan.sources().map(|(vertex, source)| {
        let subtasks = plan.subtasks(vertex.id, parallelism);
        let stored = head.operators.get(&vertex.head());
        (vertex.id, SourceSplits::restore(source, subtasks, stored))
    });
    sources.collect()
}

/// What each worker has to build and restore.
#[must_use]
pub(crate) fn build_deploys(
    plan: &Plan,
    slots: &SlotAssignment,
    assignment: &Assignment,
    head: &Manifest,
) -> BTreeMap<WorkerId, control::Deploy> {
    let assignment_json = encode(assignment);
    let mut restores = build_restores(plan, slots, head);
    let deploys = slots.workers().into_iter().map(|worker| {
        let restores = restores.remove(&worker).unwrap_or_default();
        let assignment_json = assignment_json.clone();
        (worker, control::Deploy { assignment_json, restore_json: encode_all(&restores) })
    });
    deploys.collect()
}

/// What each worker restores.
#[must_use]
pub(crate) fn build_restores(
    plan: &Plan,
    slots: &SlotAssignment,
    head: &Manifest,
) -> BTreeMap<WorkerId, Vec<SubtaskRestore>> {
    let mut restores: BTreeMap<WorkerId, Vec<SubtaskRestore>> = BTreeMap::new();
    for vertex in &plan.vertices {
        let (first, subtasks) = (vertex.head(), plan.subtasks(vertex.id, slots.parallelism()));
        for planned in &vertex.operators {
            for subtask in (0..subtasks).map(Subtask) {
                let Some(worker) = slots.worker(subtask) else { continue };
                let restore = head.restore_of(&planned.uid, &first, subtask, subtasks);
                restores.entry(worker).or_default().extend(restore);
            }
        }
    }
    restores
}
