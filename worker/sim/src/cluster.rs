//! A job's processes in one simulation: coordinators, workers, their links and stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::testing::{FaultRates, LyingStore};
use weir_checkpoint::{Chain, ChainOptions, Nonces, SegmentCache, Store};
use weir_coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorHandle, MasterConfig, Member, MemberConfig,
};
use weir_engine::EngineError;
use weir_engine::env::Clock;
use weir_engine::exchange::ExchangeServer;
use weir_engine::graph::JobGraph;
use weir_engine::runtime::{Executor, Pool, Runtime, RuntimeConfig};
use weir_protocol::control::RunState;
use weir_protocol::{JobName, OperatorCounts, OperatorUid, WorkerId};
use weir_state::merge::policy::Limits;

use crate::arrival::Arrivals;
use crate::bug::InjectedBug;
use crate::external::ExternalSystem;
use crate::host::{Host, at_once, counts_in};
use crate::job::{Job, rows_read};
use crate::link::ControlLink;
use crate::net::Net;
use crate::process::{GatedCommitter, GatedStore, Life, Process};

/// How a simulated cluster is made.
#[derive(Clone)]
pub struct ClusterSpec {
    /// The job.
    pub job: Arc<dyn Job>,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Worker processes.
    pub workers: u32,
    /// Parallelism at the start.
    pub parallelism: u32,
    /// Whether stores lie.
    pub store_faults: Option<FaultRates>,
    /// A bug to be found.
    pub bug: InjectedBug,
}

/// A worker process.
struct Worker {
    process: Process,
    executor: Executor,
    host: String,
    cache: SegmentCache,
}

/// A coordinator process.
struct CoordinatorProcess {
    process: Process,
    handle: CoordinatorHandle,
    stores: LyingStore,
}

/// The processes of one job.
pub struct Cluster {
    spec: ClusterSpec,
    net: Net,
    store: Arc<dyn Store>,
    external: Arc<ExternalSystem>,
    arrivals: Arc<Arrivals>,
    rng: StdRng,
    workers: BTreeMap<u32, Worker>,
    coordinators: Vec<CoordinatorProcess>,
    current: Arc<Mutex<Option<(Process, CoordinatorHandle)>>>,
    worker_stores: Vec<LyingStore>,
    /// Of every worker process so far.
    caches: Vec<SegmentCache>,
    steps: Steps,
    starts: u64,
    /// The newest name in the chain when it was looked at last.
    newest_name: Option<String>,
}

const JOB: &str = "simulated/job";

/// In every second run, state from so many bytes on lies in objects; nearly all checkpoints have
/// more. In the others all of it lies in manifests.
const INLINE_LIMIT: usize = 200;
/// What a worker may keep of them: less than the state is, so that caches push out and pass by.
const CACHE_BYTES: u64 = 4_000;

impl Cluster {
    /// A cluster with its workers and a first coordinator.
    ///
    /// # Errors
    /// When the engine refuses the job.
    pub async fn start(
        spec: ClusterSpec,
        store: Arc<dyn Store>,
        external: Arc<ExternalSystem>,
    ) -> Result<Self, EngineError> {
        let mut cluster = Self {
            net: Net::default(),
            store,
            external,
            arrivals: Arc::new(spec.job.arrivals()),
            rng: StdRng::seed_from_u64(spec.seed),
            workers: BTreeMap::new(),
            coordinators: Vec::new(),
            current: Arc::default(),
            worker_stores: Vec::new(),
            caches: Vec::new(),
            steps: Steps::counting(),
            starts: 0,
            newest_name: None,
            spec,
        };
        cluster.start_coordinator()?;
        for ordinal in 0..cluster.spec.workers {
            cluster.start_worker(ordinal).await?;
        }
        Ok(cluster)
    }

    /// Every coordinator so far, the newest last.
    #[must_use]
    pub fn coordinators(&self) -> Vec<CoordinatorHandle> {
        self.coordinators.iter().map(|r| r.handle.clone()).collect()
    }

    /// Every coordinator so far: what it is doing and what it says.
    #[must_use]
    pub fn describe(&self) -> String {
        let coordinator = |r: &CoordinatorProcess| {
            let s = r.handle.status();
            format!(
                "{:?}: {} term {} epoch {} workers {} {}",
                r.process.life(),
                s.state,
                s.term,
                s.epoch,
                s.workers,
                s.failure
            )
        };
        let workers =
            self.workers.iter().map(|(n, w)| format!("worker {n} {:?}", w.process.life()));
        self.coordinators.iter().map(coordinator).chain(workers).collect::<Vec<_>>().join("\n  ")
    }

    /// How often each protocol step was reached, and what caches of segments were good for.
    #[must_use]
    pub fn steps(&self) -> BTreeMap<&'static str, u64> {
        let mut steps = self.steps.histogram();
        for coordinator in &self.coordinators {
            for name in ["prefetch", "prefetch given up"] {
                *steps.entry(name).or_default() +=
                    coordinator.handle.steps().get(name).unwrap_or(&0);
            }
        }
        for usage in self.caches.iter().map(SegmentCache::usage) {
            *steps.entry("bytes read from caches").or_default() += usage.hits;
            *steps.entry("bytes read past caches").or_default() += usage.misses;
            *steps.entry("objects pushed out of caches").or_default() += usage.pushed_out;
        }
        steps
    }

    /// The chain as nobody's process sees it.
    fn honest_chain(&self) -> Chain {
        let name = JobName(JOB.to_owned());
        Chain::attach(Arc::clone(&self.store), &name, ChainOptions::default())
    }

    /// What operators have counted according to the newest manifest.
    ///
    /// # Errors
    /// When there is none that can be read.
    pub async fn counts_of_head(&self) -> Result<BTreeMap<OperatorUid, OperatorCounts>, String> {
        let head = self.honest_chain().read_head().await.map_err(|e| e.to_string())?;
        Ok(counts_in(head.ok_or("there is no manifest")?))
    }

    /// What operators have counted according to the coordinator that saw the job end.
    #[must_use]
    pub fn counts_shown(&self) -> BTreeMap<OperatorUid, OperatorCounts> {
        let statuses = self.coordinators.iter().map(|coordinator| coordinator.handle.status());
        let Some(status) = statuses.into_iter().find(|s| s.state() == RunState::Finished) else {
            return BTreeMap::new();
        };
        let before = status.counted_before.into_iter();
        let mut counts: BTreeMap<OperatorUid, OperatorCounts> =
            before.map(|(uid, before)| (OperatorUid(uid), (&before.counts).into())).collect();
        for operator in status.tasks.into_iter().flat_map(|task| task.operators) {
            let sum = counts.entry(OperatorUid(operator.uid)).or_default();
            *sum = *sum + OperatorCounts::from(&operator.counts).known_at_cut();
        }
        counts
    }

    /// The newest coordinator.
    #[must_use]
    pub fn coordinator(&self) -> Option<CoordinatorHandle> {
        self.coordinators.last().map(|r| r.handle.clone())
    }

    fn graph(&self, process: &Process) -> Result<Arc<JobGraph>, EngineError> {
        let graph = self.spec.job.graph(&self.external, &self.arrivals)?;
        let mut graph = Arc::unwrap_or_clone(graph);
        for committer in graph.committers.values_mut() {
            *committer = Arc::new(GatedCommitter::new(process, Arc::clone(committer)));
        }
        Ok(Arc::new(graph))
    }

    /// The store as a new process reaches it.
    fn store_of(&mut self, process: &Process) -> (GatedStore, LyingStore) {
        let honest = self.spec.bug.over_store(Arc::clone(&self.store));
        let lying = match self.spec.store_faults {
            Some(rates) => LyingStore::seeded(honest, self.rng.random(), rates),
            None => LyingStore::new(honest),
        };
        (GatedStore::new(process, Arc::new(lying.clone())), lying)
    }

    /// Lets rows arrive that wait for the newest checkpoint.
    pub fn note_published(&mut self) {
        if !self.arrivals.wants_checkpoint() {
            return;
        }
        let chain = self.honest_chain();
        let names = at_once(chain.store().list("chain", None));
        let newest = names.and_then(Result::ok).and_then(|names| names.into_iter().max());
        if newest == self.newest_name {
            return;
        }
        self.newest_name = newest;
        if let Some(Ok(counts)) = at_once(self.counts_of_head()) {
            self.arrivals.note_published(rows_read(&counts));
        }
    }

    /// Starts a coordinator beside whatever is left of earlier ones.
    ///
    /// # Errors
    /// When the engine refuses the job.
    pub fn start_coordinator(&mut self) -> Result<(), EngineError> {
        let process = Process::default();
        let (store, stores) = self.store_of(&process);
        let mut master = MasterConfig::new(JobName(JOB.to_owned()), self.spec.parallelism);
        master.checkpoint_interval_ms = 200;
        master.checkpoint_timeout_ms = 1_000;
        master.patience_ms = 1_000;
        master.least_workers = self.spec.workers;
        master.prefetch_ms = 1_000;
        master.restart.initial_ms = 100;
        master.restart.max_ms = 1_000;
        // A start keeps the parallelism that a rescale has reached.
        master.keep_parallelism = true;
        let mut config = CoordinatorConfig::new(master);
        config.chain = ChainOptions {
            nonces: Nonces::seeded(self.rng.random()),
            steps: self.steps.clone(),
            call_timeout: Duration::from_secs(2),
            ..ChainOptions::default()
        };
        config.clock = Clock::manual(1_000_000);
        let graph = self.graph(&process)?;
        let handle = Coordinator::start(config, graph, Arc::new(store));
        *self.current.lock() = Some((process.clone(), handle.clone()));
        self.coordinators.push(CoordinatorProcess { process, handle, stores });
        Ok(())
    }

    /// What a new process of this ordinal has of the job's segments. One worker has no place for
    /// any, one has memory, which a crash empties, and the others have a folder that outlives
    /// them, with what a crash has torn.
    fn cache_of(&mut self, ordinal: u32) -> SegmentCache {
        let before = self.workers.get(&ordinal).map(|worker| worker.cache.clone());
        match ((u64::from(ordinal) + self.spec.seed) % 4, before) {
            (0, _) => SegmentCache::none(),
            (1, _) | (_, None) => SegmentCache::in_memory(CACHE_BYTES),
            (_, Some(before)) => before.after_crash(|_| self.rng.random_ratio(1, 4)),
        }
    }

    /// Whether rows of state tables leave memory whenever they can.
    fn evicts(&self) -> bool {
        !self.spec.seed.is_multiple_of(3)
    }

    fn state_pool(&self) -> Pool {
        let pool = Pool::new("simulated state", 1 << 30);
        if self.evicts() { pool.trimmed_above(0) } else { pool }
    }

    /// Starts a worker process in place of whatever had its ordinal.
    ///
    /// # Errors
    /// When the engine refuses the job.
    pub async fn start_worker(&mut self, ordinal: u32) -> Result<(), EngineError> {
        self.starts += 1;
        let process = Process::default();
        let (store, lying) = self.store_of(&process);
        self.worker_stores.push(lying);
        let cache = self.cache_of(ordinal);
        self.caches.push(cache.clone());
        let address = format!("worker-{ordinal}-{}", self.starts);
        let transport = self.net.transport(&address);
        let exchange = ExchangeServer::start(&*transport, "", JOB).await;
        let exchange = exchange.map_err(EngineError::internal)?;
        let executor = Executor::stepped();
        let config = MemberConfig {
            worker: WorkerId(ordinal),
            incarnation: format!("{ordinal}-{}", self.starts),
            exchange_address: exchange.address().to_owned(),
            control_address: String::new(),
            slots: 64,
            nonces: Nonces::seeded(self.rng.random()),
            steps: self.steps.clone(),
        };
        let runtime = Runtime::new(RuntimeConfig {
            executor: executor.clone(),
            clock: Clock::manual(1_000_000),
            io: tokio::runtime::Handle::current(),
            state_pool: Arc::new(self.state_pool()),
            exchange_bytes: 1 << 20,
            transport,
            exchange: Some(exchange),
        });
        let name = JobName(JOB.to_owned());
        let chain = Chain::attach(Arc::new(store), &name, ChainOptions::default());
        let graph = self.graph(&process)?;
        let host =
            Host { runtime, arrivals: Arc::clone(&self.arrivals), chain: self.honest_chain() };
        let member = Member::new(config, graph, Arc::new(host), Arc::clone(chain.store()))
            .with_cache(cache.clone());
        let member = match self.spec.seed % 2 {
            0 => member.with_inline_limit(INLINE_LIMIT),
            _ => member,
        };
        // Tables come into memory as a whole, or row by row; they are merged early either way.
        let member = member
            .with_resident_bytes(if self.evicts() { 0 } else { u64::MAX })
            .with_merges(Limits { deltas: 3, step: 20_000 });
        let link = ControlLink {
            worker: process.clone(),
            current: Arc::clone(&self.current),
            seed: self.rng.random(),
            bug: self.spec.bug,
        };
        tokio::spawn(async move { member.run(&link).await });
        self.workers.insert(ordinal, Worker { process, executor, host: address, cache });
        Ok(())
    }

    /// Kills a worker, if it lives.
    pub fn kill_worker(&mut self, ordinal: u32) {
        if let Some(worker) = self.workers.get(&ordinal) {
            worker.process.kill();
            self.net.cut(&worker.host);
        }
    }

    /// Stops a worker, if it lives.
    pub fn put_worker_to_sleep(&self, ordinal: u32) {
        if let Some(worker) = self.workers.get(&ordinal) {
            worker.process.sleep();
        }
    }

    /// Lets a worker go on that was stopped.
    pub fn wake_worker(&self, ordinal: u32) {
        if let Some(worker) = self.workers.get(&ordinal) {
            worker.process.wake();
        }
    }

    /// Kills the newest coordinator.
    pub fn kill_coordinator(&mut self) {
        if let Some(coordinator) = self.coordinators.last() {
            coordinator.process.kill();
        }
        *self.current.lock() = None;
    }

    /// Stops the newest coordinator; workers no longer find it.
    pub fn put_coordinator_to_sleep(&mut self) {
        if let Some(coordinator) = self.coordinators.last() {
            coordinator.process.sleep();
        }
        *self.current.lock() = None;
    }

    /// Lets every process go on that was stopped.
    pub fn wake_all(&mut self) {
        for coordinator in &self.coordinators {
            coordinator.process.wake();
        }
    }

    /// Stores tell the truth from now on.
    pub fn heal(&mut self) {
        for store in self.coordinators.iter().map(|r| &r.stores).chain(&self.worker_stores) {
            store.heal();
        }
        self.spec.store_faults = None;
    }

    /// Gives one task of one living worker a turn; `false` when no task wants one.
    pub fn step(&mut self) -> bool {
        let ready: Vec<_> = self
            .workers
            .values()
            .filter(|w| w.process.life() == Life::Alive && w.executor.ready() > 0)
            .map(|w| w.executor.clone())
            .collect();
        if ready.is_empty() {
            return false;
        }
        let executor = &ready[self.rng.random_range(0..ready.len())];
        executor.step_one(self.rng.random_range(0..1_000))
    }

    /// The source of chance.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }
}
