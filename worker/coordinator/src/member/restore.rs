//! From a `Deploy` message to a deployment with its state at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use weir_checkpoint::data::DataReader;
use weir_checkpoint::manifest::SegmentRef;
use weir_engine::graph::JobGraph;
use weir_engine::operator::Restored;
use weir_engine::runtime::{Deployment, Placement};
use weir_engine::{EngineError, Watermark};
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, Term, VertexId, WorkerId, control};

use super::freeze::TaskId;

/// Operators' states fetched at a time.
const FETCHES: usize = 8;

/// The tasks that a `Deploy` places on this worker.
pub(super) fn own_tasks(deploy: &control::Deploy, worker: WorkerId) -> BTreeSet<TaskId> {
    let mine = deploy.placements.iter().filter(|p| p.worker == worker.0);
    mine.map(|p| (VertexId(p.vertex), Subtask(p.subtask))).collect()
}

/// Fetches the state of this worker's tasks: only blocks of their key groups, each checked.
pub(super) async fn build_deployment(
    graph: Arc<JobGraph>,
    reader: DataReader,
    worker: WorkerId,
    term: Term,
    deploy: control::Deploy,
) -> Result<Deployment, EngineError> {
    let placements = deploy.placements.iter().map(|p| Placement {
        vertex: VertexId(p.vertex),
        subtask: Subtask(p.subtask),
        worker: WorkerId(p.worker),
    });
    let placements = placements.collect();
    let peers = deploy.peers.iter().filter(|p| p.worker != worker.0);
    let peers = peers.map(|p| (WorkerId(p.worker), p.exchange_address.clone())).collect();
    let fetches = deploy
        .restore
        .into_iter()
        .map(|restore| fetch(&graph, &reader, deploy.parallelism, restore));
    let restored: BTreeMap<_, _> =
        stream::iter(fetches).buffer_unordered(FETCHES).try_collect().await?;
    Ok(Deployment {
        term,
        worker,
        parallelism: deploy.parallelism,
        placements,
        peers,
        restored,
        graph,
    })
}

async fn fetch(
    graph: &JobGraph,
    reader: &DataReader,
    parallelism: u32,
    restore: control::RestoreState,
) -> Result<((OperatorUid, Subtask), Restored), EngineError> {
    let state = restore.state.unwrap_or_default();
    let (uid, subtask) = (OperatorUid(state.uid), Subtask(restore.subtask));
    let Some((vertex, position)) = graph.operator(&uid) else {
        return Err(EngineError::internal(format!(
            "the coordinator sent state of operator {uid}, which this program does not have"
        )));
    };
    let subtasks = graph.subtasks(vertex.id, parallelism);
    let range = KeyGroupRange::of_subtask(subtask, subtasks, graph.max_parallelism);
    let references: Vec<SegmentRef> = state.segments.into_iter().map(Into::into).collect();
    let segments = reader.read(&references, range).await.map_err(|e| {
        let name = vertex.chain.get(position).map_or("", |(info, _)| info.name.as_str());
        EngineError::external(format!("operator \"{name}\" {subtask}: its state: {e}"))
    })?;
    let restored = Restored {
        segments,
        items: state.items.into_iter().map(Into::into).collect(),
        watermark: restore.watermark.map(Watermark),
        ahead: restore.ahead.iter().map(groups_ahead).collect(),
    };
    Ok(((uid, subtask), restored))
}

fn groups_ahead(ahead: &control::GroupsAhead) -> (KeyGroupRange, Watermark) {
    // Of a range that is part of a subtask's.
    let range = KeyGroupRange { start: ahead.start as u16, end: ahead.end as u16 };
    (range, Watermark(ahead.watermark))
}
