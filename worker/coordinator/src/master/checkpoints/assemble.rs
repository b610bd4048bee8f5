//! From the acks of an attempt to what it adds to the chain.

use std::collections::BTreeMap;

use weir_checkpoint::manifest::ChainWatermark;
use weir_checkpoint::{CheckpointBody, Manifest, OperatorEntry, OperatorState, TaskSnapshot};
use weir_protocol::{OperatorCounts, OperatorUid, Subtask};

use super::attempt::PendingCheckpoint;
use crate::master::plan::Plan;

/// What an attempt's acks say. `before` is what operators had counted when the term's tasks began,
/// `head` the newest manifest.
#[must_use]
pub(crate) fn assemble(
    plan: &Plan,
    parallelism: u32,
    checkpoint: &PendingCheckpoint,
    before: &BTreeMap<OperatorUid, OperatorCounts>,
    head: &Manifest,
) -> CheckpointBody {
    let mut body = CheckpointBody { attempt: checkpoint.attempt, ..CheckpointBody::default() };
    for vertex in &plan.vertices {
        let subtasks = plan.subtasks(vertex.id, parallelism);
        let acks: Vec<&TaskSnapshot> =
            (0..subtasks).filter_map(|s| checkpoint.ack(vertex.id, Subtask(s))).collect();
        body.commits.extend(acks.iter().flat_map(|ack| &ack.committables).cloned());
        for planned in &vertex.operators {
            let counts = before.get(&planned.uid).copied().unwrap_or_default();
            let mut state = OperatorState { counts, ..OperatorState::default() };
            for part in acks.iter().filter_map(|ack| ack.operators.get(&planned.uid)) {
                state.add(part);
            }
            let entry = OperatorEntry {
                name: planned.name.clone(),
                kind: planned.kind.to_owned(),
                schema: planned.state.clone().unwrap_or_default(),
                tables: planned.tables.clone(),
                state,
                enumerator: None,
            };
            body.operators.insert(planned.uid.clone(), entry);
        }
        let first = vertex.head();
        if let Some(entry) = body.operators.get_mut(&first) {
            entry.enumerator = checkpoint.enumerators.get(&vertex.id).cloned();
        }
        let marks: Vec<_> = acks.iter().map(|ack| ack.watermark).collect();
        let mark = if vertex.source.is_some() {
            // Splits bring their own watermarks along, to whichever reader.
            ChainWatermark::of(&marks).and_then(|mark| mark.least()).map(ChainWatermark::Even)
        } else {
            let before = head.watermark(&first);
            ChainWatermark::not_behind(&marks, before.as_ref(), plan.max_parallelism)
        };
        body.watermarks.extend(mark.map(|mark| (first, mark)));
    }
    body
}
