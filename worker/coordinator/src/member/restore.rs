//! From a `Deploy` message to a deployment with its state at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use weir_checkpoint::SubtaskRestore;
use weir_checkpoint::data::DataReader;
use weir_checkpoint::manifest::Assignment;
use weir_engine::graph::JobGraph;
use weir_engine::operator::Restored;
use weir_engine::runtime::Deployment;
use weir_engine::{EngineError, Watermark};
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, Term, WorkerId, control};
use weir_state::merge::policy::Limits;

use super::compaction::StoredTables;
use super::freeze::TaskId;
use super::segments::OpenSegments;
use crate::wire::decode_all;

/// Operators' states fetched at a time.
const FETCHES: usize = 8;

/// A `Deploy`, read.
pub(super) struct Deploy {
    assignment: Assignment,
    restores: Vec<SubtaskRestore>,
}

impl Deploy {
    /// # Errors
    /// When it is not what the control protocol says.
    pub(super) fn read(deploy: &control::Deploy) -> Result<Self, EngineError> {
        let unreadable = |e| EngineError::internal(format!("a deployment cannot be read: {e}"));
        Ok(Self {
            assignment: serde_json::from_slice(&deploy.assignment_json).map_err(unreadable)?,
            restores: decode_all(&deploy.restore_json).map_err(unreadable)?,
        })
    }

    /// The tasks that it places on this worker.
    pub(super) fn own_tasks(&self, worker: WorkerId) -> BTreeSet<TaskId> {
        let mine = self.assignment.placements.iter().filter(|p| p.worker == worker);
        mine.map(|p| (p.vertex, p.subtask)).collect()
    }

    /// What is stored of the tables of these tasks.
    pub(super) fn stored_tables(
        &self,
        graph: &JobGraph,
        tasks: &BTreeSet<TaskId>,
        limits: Limits,
    ) -> StoredTables {
        let parallelism = self.assignment.parallelism;
        StoredTables::new(graph, parallelism, tasks, &self.restores, limits)
    }
}

/// Fetches the state of this worker's tasks: only blocks of their key groups, each checked.
pub(super) async fn build_deployment(
    graph: Arc<JobGraph>,
    reader: DataReader,
    segments: Arc<OpenSegments>,
    resident_bytes: u64,
    worker: WorkerId,
    term: Term,
    deploy: Deploy,
) -> Result<Deployment, EngineError> {
    let Deploy { assignment: Assignment { parallelism, workers, placements }, restores } = deploy;
    let peers = workers.into_iter().filter(|member| member.worker != worker);
    let peers = peers.map(|member| (member.worker, member.address)).collect();
    let from = Sources { graph: &graph, reader: &reader, segments: &segments, resident_bytes };
    let fetches = restores.into_iter().map(|restore| fetch(&from, parallelism, restore));
    let restored: BTreeMap<_, _> =
        stream::iter(fetches).buffer_unordered(FETCHES).try_collect().await?;
    Ok(Deployment { term, worker, parallelism, placements, peers, restored, segments, graph })
}

/// Where a deployment's state comes from.
struct Sources<'a> {
    graph: &'a JobGraph,
    reader: &'a DataReader,
    segments: &'a OpenSegments,
    /// Tables that hold no more come into memory as a whole.
    resident_bytes: u64,
}

async fn fetch(
    from: &Sources<'_>,
    parallelism: u32,
    restore: SubtaskRestore,
) -> Result<((OperatorUid, Subtask), Restored), EngineError> {
    let Sources { graph, reader, segments: open, resident_bytes } = from;
    let SubtaskRestore { uid, subtask, state, watermark, ahead } = restore;
    let Some((vertex, position)) = graph.operator(&uid) else {
        return Err(EngineError::internal(format!(
            "the coordinator sent state of operator {uid}, which this program does not have"
        )));
    };
    let subtasks = graph.subtasks(vertex.id, parallelism);
    let range = KeyGroupRange::of_subtask(subtask, subtasks, graph.max_parallelism);
    let failed = |e| {
        let name = vertex.chain.get(position).map_or("", |(info, _)| info.name.as_str());
        EngineError::external(format!("operator \"{name}\" {subtask}: its state: {e}"))
    };
    let segments = reader.read(&state.segments, range).await.map_err(failed)?;
    let mut tables = BTreeMap::new();
    let specs = vertex.chain.get(position).map_or(&[][..], |(info, _)| &info.tables);
    for (name, references) in state.by_table() {
        let in_memory = specs.iter().any(|spec| spec.name == name && spec.is_in_memory());
        let stored = open.stored(&references, range, in_memory, *resident_bytes).await;
        tables.insert(name, stored.map_err(failed)?);
    }
    let restored = Restored {
        segments,
        tables,
        items: state.items.into_iter().map(|item| item.0).collect(),
        watermark: watermark.map(Watermark),
        ahead: ahead.into_iter().map(|(range, at)| (range, Watermark(at))).collect(),
    };
    Ok(((uid, subtask), restored))
}
