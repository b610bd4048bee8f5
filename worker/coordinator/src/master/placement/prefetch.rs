//! What workers can read ahead of a rescale.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::{Manifest, SubtaskRestore};
use weir_protocol::WorkerId;

use super::restore::build_restores;
use super::slots::SlotAssignment;
use crate::master::plan::Plan;

/// What each worker reads ahead: the segments of its tasks to come that lie in objects, without
/// those that it was asked for before.
#[must_use]
pub(crate) fn build_prefetches(
    plan: &Plan,
    slots: &SlotAssignment,
    head: &Manifest,
    before: &BTreeSet<String>,
) -> BTreeMap<WorkerId, Vec<SubtaskRestore>> {
    let objects = head.data_objects();
    let is_new = |object: &str| objects.contains(object) && !before.contains(object);
    let mut wanted = build_restores(plan, slots, head);
    for restores in wanted.values_mut() {
        for restore in restores.iter_mut() {
            restore.state.items.clear();
            restore.state.segments.retain(|segment| segment.object().is_some_and(is_new));
            restore.state.tables.retain(|segment| segment.place.object().is_some_and(is_new));
        }
        restores.retain(|restore| restore.state.has_keyed());
    }
    wanted.retain(|_, restores| !restores.is_empty());
    wanted
}
