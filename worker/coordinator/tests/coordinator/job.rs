//! A job of the fake program over a store: its coordinator, its workers, what its chain says.

use std::sync::Arc;
use std::time::Duration;

use weir_checkpoint::manifest::Assignment as Placed;
use weir_checkpoint::store::testing::MemoryStore;
use weir_checkpoint::{
    Chain, ChainOptions, DataReader, Manifest, Nonces, SegmentCache, Steps, Store, SubtaskRestore,
};
use weir_coordinator::link::Connect;
use weir_coordinator::master::MasterConfig;
use weir_coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorHandle, Ending, Member, MemberConfig, MemberEnd,
};
use weir_engine::graph::JobGraph;
use weir_engine::source::Assignment;
use weir_protocol::control::{self, JobStatus};
use weir_protocol::{
    Counter, JobName, KeyGroupRange, OperatorCounts, Placement, Subtask, VertexId, WorkerId,
};

use crate::fake::{FakeHost, MAX_PARALLELISM, World, graph};
use crate::script::json;

/// A worker that nobody else reaches.
pub(crate) fn member_config(ordinal: u32, slots: u32) -> MemberConfig {
    MemberConfig {
        worker: WorkerId(ordinal),
        incarnation: Nonces::random().draw().to_string(),
        exchange_address: String::new(),
        control_address: String::new(),
        slots,
        nonces: Nonces::random(),
        steps: Steps::none(),
    }
}

pub(crate) struct Job {
    pub(crate) world: Arc<World>,
    pub(crate) graph: Arc<JobGraph>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: CoordinatorConfig,
    /// What each worker may keep of the job's segments.
    pub(crate) cache_bytes: u64,
}

impl Job {
    pub(crate) fn new(
        world: &Arc<World>,
        parallelism: u32,
        bounded: bool,
        assignment: Assignment,
    ) -> Self {
        let mut master = MasterConfig::new(JobName::from("default/numbers"), parallelism);
        master.checkpoint_interval_ms = 20;
        Self {
            world: world.clone(),
            graph: graph(world, bounded, assignment),
            store: Arc::new(MemoryStore::new()),
            config: CoordinatorConfig::new(master),
            cache_bytes: 0,
        }
    }

    pub(crate) fn start(&self) -> CoordinatorHandle {
        Coordinator::start(self.config.clone(), self.graph.clone(), self.store.clone())
    }

    pub(crate) fn worker(
        &self,
        ordinal: u32,
        slots: u32,
        coordinator: Arc<dyn Connect>,
    ) -> tokio::task::JoinHandle<MemberEnd> {
        let config = member_config(ordinal, slots);
        let host = FakeHost { world: self.world.clone(), pace: Duration::from_millis(1) };
        let store = self.chain().store().clone();
        let cache = match self.cache_bytes {
            0 => SegmentCache::none(),
            budget => SegmentCache::in_memory(budget),
        };
        let member =
            Member::new(config, self.graph.clone(), Arc::new(host), store).with_cache(cache);
        tokio::spawn(async move { member.run(coordinator.as_ref()).await })
    }

    pub(crate) fn chain(&self) -> Chain {
        let job = &self.config.master.job;
        Chain::attach(self.store.clone(), job, ChainOptions::default())
    }

    pub(crate) async fn head(&self) -> Manifest {
        self.chain().read_head().await.unwrap().unwrap()
    }

    /// The sum of the counter's keyed state at the head: how many rows it has counted.
    pub(crate) async fn counted(&self) -> u64 {
        let head = self.head().await;
        let Some(entry) = head.operators.get(&"counter".into()) else {
            return 0;
        };
        let reader = DataReader::new(self.chain().store().clone());
        let all = KeyGroupRange::all(MAX_PARALLELISM);
        let mut counts = std::collections::BTreeMap::new();
        for segment in reader.read(&entry.state.segments, all).await.unwrap() {
            for block in segment.blocks_in(all) {
                let (group, bytes) = block.unwrap();
                counts.insert(group, u64::from_le_bytes(bytes[..8].try_into().unwrap()));
            }
        }
        counts.values().sum()
    }
}

pub(crate) fn local(handle: &CoordinatorHandle) -> Arc<dyn Connect> {
    Arc::new(handle.attachments())
}

pub(crate) async fn until(handle: &CoordinatorHandle, what: impl Fn(&JobStatus) -> bool) {
    let mut status = handle.watch();
    let seen = tokio::time::timeout(Duration::from_secs(60), status.wait_for(|s| what(s))).await;
    assert!(seen.is_ok(), "it never came to it: {:?}", handle.status());
}

/// Rows that a status says were read, and taken by the sink, since the job's first one.
pub(crate) fn shown(status: &JobStatus) -> (u64, u64) {
    let counts = |uid: &str| -> OperatorCounts {
        let operators = status.tasks.iter().flat_map(|task| &task.operators);
        let now = operators.filter(|o| o.uid == uid).map(|o| &o.counts);
        let before = status.counted_before.get(uid).map(|before| &before.counts);
        now.chain(before).map(OperatorCounts::from).sum()
    };
    (counts("numbers")[Counter::RowsOut], counts("sink")[Counter::RowsIn])
}

/// Subtask 0 of the first vertex runs on worker 0.
pub(crate) fn deploy(
    parallelism: u32,
    subtask: Subtask,
    restores: &[SubtaskRestore],
) -> control::Deploy {
    let (vertex, worker) = (VertexId(0), WorkerId(0));
    let placements = vec![Placement { vertex, subtask, worker }];
    let assignment = Placed { parallelism, placements, ..Placed::default() };
    let restore_json = restores.iter().map(json).collect();
    control::Deploy { assignment_json: json(&assignment), restore_json }
}

pub(crate) async fn end(handle: &CoordinatorHandle) -> Ending {
    let ended = tokio::time::timeout(Duration::from_secs(120), handle.ended()).await;
    ended.unwrap_or_else(|_| panic!("it does not end: {:?}", handle.status()))
}
