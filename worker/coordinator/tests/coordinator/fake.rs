//! A program whose result can be checked: numbers are read from splits and staged for a sink.
//!
//! Tasks run on timers instead of the engine's threads. Every task counts its rows under key
//! groups that it owns, so that keyed state travels through segments, too: under every second one,
//! in turn, so that there is state which is only ever written once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::mpsc;
use weir_coordinator::{HostedTasks, TaskHost};
use weir_engine::graph::{JobGraph, Node, OperatorInfo, Parallelism, SourceNode, Vertex};
use weir_engine::operator::{
    Committable, Context, Frozen, Operator, OperatorMetrics, PreCommitted, Restored, Snapshot,
    StateSchema,
};
use weir_engine::runtime::{Deployment, Pool};
use weir_engine::sink::{CommitAnswer, CommitContext, Committer};
use weir_engine::source::{
    Assignment, EventTimes, Pending, Source, SourceReader, Split, SplitEnumerator,
};
use weir_engine::task::{
    FrozenTask, TaskCommand, TaskEvent, TaskReport, TimeInState, TriggerRequest,
};
use weir_engine::{EngineError, Fault, OperatorError, Watermark};
use weir_protocol::{Counter, KeyGroup, KeyGroupRange, OperatorUid, Subtask, Term, VertexId};
use weir_state::segment::{Segment, SegmentBuilder, SegmentKind};

pub(crate) const MAX_PARALLELISM: u32 = 8;

/// Everything outside of the job: what there is to read, and what has become visible.
#[derive(Default)]
pub(crate) struct World {
    /// Rows that were committed, by what committed them: repeating a commit changes nothing.
    pub(crate) visible: Mutex<BTreeMap<String, Vec<u64>>>,
    /// Lineages of what was committed.
    pub(crate) lineages: Mutex<BTreeSet<String>>,
    /// Commits to answer with `Retry`.
    pub(crate) retries: AtomicU32,
    /// Commits answer with `Lost`.
    pub(crate) lost: AtomicBool,
    /// Splits to be found, then found at the next look.
    pub(crate) splits: Mutex<Vec<(String, u64, u64)>>,
    /// Tasks fail at their next row with this.
    pub(crate) failure: Mutex<Option<EngineError>>,
    /// Every subtask but the first ignores triggers, so that attempts time out after the first
    /// has frozen its part.
    pub(crate) deaf: AtomicBool,
    /// How often a state was restored by a task.
    pub(crate) restored: AtomicU32,
    /// How often tasks were told to end.
    pub(crate) stopped: AtomicU32,
    /// Bytes that the states of an even and of an odd key group take up beside their counts.
    pub(crate) padding: [usize; 2],
    /// The watermark that each operator was restored with at last.
    pub(crate) marks: Mutex<BTreeMap<OperatorUid, i64>>,
}

impl World {
    pub(crate) fn with_rows(splits: u64, rows: u64) -> Arc<Self> {
        Self::with_state(splits, rows, [0, 0])
    }

    /// The states of even and of odd key groups have these sizes from the beginning.
    pub(crate) fn with_state(splits: u64, rows: u64, padding: [usize; 2]) -> Arc<Self> {
        let world = Self { padding, ..Self::default() };
        *world.splits.lock().unwrap() =
            (0..splits).map(|s| (format!("s{s:03}"), s * rows, (s + 1) * rows)).collect();
        Arc::new(world)
    }

    /// All visible rows, in order; repeated ones appear repeatedly.
    pub(crate) fn rows(&self) -> Vec<u64> {
        let mut rows: Vec<u64> = self.visible.lock().unwrap().values().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }

    pub(crate) fn expected(&self) -> Vec<u64> {
        let mut rows: Vec<u64> =
            self.splits.lock().unwrap().iter().flat_map(|(_, from, to)| *from..*to).collect();
        rows.sort_unstable();
        rows
    }
}

struct Numbers {
    world: Arc<World>,
    bounded: bool,
    assignment: Assignment,
}

impl Source for Numbers {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn assignment(&self) -> Assignment {
        self.assignment
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        let known = match snapshot {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(EngineError::internal)?,
            None => BTreeSet::new(),
        };
        Ok(Box::new(Enumerator { world: self.world.clone(), bounded: self.bounded, known }))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Err(EngineError::internal("the fake host reads by itself"))
    }
}

struct Enumerator {
    world: Arc<World>,
    bounded: bool,
    known: BTreeSet<String>,
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        let all = self.world.splits.lock().unwrap().clone();
        let fresh = all.into_iter().filter(|(id, _, _)| self.known.insert(id.clone()));
        Ok(fresh
            .map(|(id, from, to)| Split {
                id,
                position: serde_json::to_vec(&(from, to)).unwrap().into(),
                watermark: None,
                lower_bound: Some(from as i64),
                size: to - from,
            })
            .collect())
    }

    fn interval(&self) -> Option<Duration> {
        (!self.bounded).then(|| Duration::from_secs(1))
    }

    fn snapshot(&self) -> Bytes {
        serde_json::to_vec(&self.known).unwrap().into()
    }
}

struct Outbox(Arc<World>);

#[async_trait]
impl Committer for Outbox {
    async fn commit(&self, cx: &CommitContext, item: &Committable) -> CommitAnswer {
        if self.0.lost.load(Ordering::SeqCst) {
            return CommitAnswer::Lost("the upload is gone".into());
        }
        if self.0.retries.load(Ordering::SeqCst) > 0 {
            self.0.retries.fetch_sub(1, Ordering::SeqCst);
            return CommitAnswer::Retry("not now".into());
        }
        let (name, rows): (String, Vec<u64>) = serde_json::from_slice(&item.payload).unwrap();
        self.0.lineages.lock().unwrap().insert(cx.lineage.clone());
        self.0.visible.lock().unwrap().insert(name, rows);
        CommitAnswer::Committed
    }

    async fn discard(&self, _: &CommitContext, _: &Committable) -> CommitAnswer {
        CommitAnswer::Committed
    }
}

/// One chain: numbers, a counter with keyed state, a sink.
pub(crate) fn graph(world: &Arc<World>, bounded: bool, assignment: Assignment) -> Arc<JobGraph> {
    let no_operator = |_: &Context| -> Result<Box<dyn Operator>, OperatorError> {
        Err(EngineError::internal("the fake host builds no operators"))
    };
    let info = |uid: &str, kind: &'static str| OperatorInfo {
        uid: uid.into(),
        name: uid.into(),
        kind,
        ..OperatorInfo::default()
    };
    let source = SourceNode {
        source: Arc::new(Numbers { world: world.clone(), bounded, assignment }),
        event_times: Arc::new(|| -> Box<dyn EventTimes> { unreachable!("nobody asks") }),
    };
    let mut counter = info("counter", "aggregate");
    counter.state = Some(StateSchema { version: 1, ..StateSchema::default() });
    let committer: Arc<dyn Committer> = Arc::new(Outbox(world.clone()));
    Arc::new(JobGraph {
        vertices: vec![Vertex {
            id: VertexId(0),
            name: "numbers, counter, sink".into(),
            parallelism: Parallelism::Job,
            chain: vec![
                (info("numbers", "source"), Node::Source(source)),
                (counter, Node::Operator(Arc::new(no_operator))),
                (info("sink", "sink"), Node::Operator(Arc::new(no_operator))),
            ],
        }],
        edges: Vec::new(),
        committers: BTreeMap::from([("sink".into(), committer)]),
        replaces: None,
        max_parallelism: MAX_PARALLELISM,
        hash: "plan-1".into(),
    })
}

/// The same program behind one more vertex, which moves the numbers of the others.
pub(crate) fn graph_with_a_vertex_in_front(world: &Arc<World>) -> Arc<JobGraph> {
    let graph = graph(world, true, Assignment::Pull);
    let mut graph = Arc::into_inner(graph).expect("nobody else has it");
    for vertex in &mut graph.vertices {
        vertex.id = VertexId(vertex.id.0 + 1);
    }
    let no_operator = |_: &Context| -> Result<Box<dyn Operator>, OperatorError> {
        Err(EngineError::internal("the fake host builds no operators"))
    };
    let info = OperatorInfo { uid: "added".into(), name: "added".into(), ..Default::default() };
    graph.vertices.insert(
        0,
        Vertex {
            id: VertexId(0),
            name: "added".into(),
            parallelism: Parallelism::Job,
            chain: vec![(info, Node::Operator(Arc::new(no_operator)))],
        },
    );
    graph.hash = "plan-2".into();
    Arc::new(graph)
}

/// Runs the fake program's tasks.
pub(crate) struct FakeHost {
    pub(crate) world: Arc<World>,
    /// Time between rows.
    pub(crate) pace: Duration,
}

/// The operators of the fake program's one chain.
const CHAIN: [&str; 3] = ["numbers", "counter", "sink"];

/// What the operators of one task count.
type Counters = (VertexId, Subtask, [(OperatorUid, Arc<OperatorMetrics>); 3]);

struct FakeTasks {
    world: Arc<World>,
    counters: Vec<Counters>,
    commands: BTreeMap<(VertexId, Subtask), mpsc::UnboundedSender<TaskCommand>>,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl TaskHost for FakeHost {
    fn deploy(
        &self,
        mut deployment: Deployment,
        events: mpsc::UnboundedSender<TaskEvent>,
    ) -> Result<Box<dyn HostedTasks>, EngineError> {
        let (mut commands, mut running) = (BTreeMap::new(), Vec::new());
        let mut counters = Vec::new();
        for ((uid, _), restored) in &deployment.restored {
            if let Some(mark) = restored.watermark {
                self.world.marks.lock().unwrap().insert(uid.clone(), mark.0);
            }
        }
        for placement in &deployment.placements {
            if placement.worker != deployment.worker {
                continue;
            }
            let counter = (OperatorUid::from("counter"), placement.subtask);
            let range = KeyGroupRange::of_subtask(
                placement.subtask,
                deployment.parallelism,
                MAX_PARALLELISM,
            );
            let restored = deployment.restored.remove(&counter);
            let fresh = restored.is_none();
            let counts = match restored {
                Some(restored) => {
                    self.world.restored.fetch_add(1, Ordering::SeqCst);
                    restore_counts(restored, range)?
                }
                None if self.world.padding == [0, 0] => BTreeMap::new(),
                None => (range.start..range.end).map(|group| (KeyGroup(group), 0)).collect(),
            };
            let (to, from) = mpsc::unbounded_channel();
            let its = CHAIN.map(|uid| (uid.into(), Arc::default()));
            counters.push((placement.vertex, placement.subtask, its.clone()));
            commands.insert((placement.vertex, placement.subtask), to);
            let task = FakeTask {
                world: self.world.clone(),
                term: deployment.term,
                vertex: placement.vertex,
                subtask: placement.subtask,
                range,
                counters: its,
                dirty: counts.keys().copied().filter(|_| fresh).collect(),
                counts,
                rows: 0,
                splits: Vec::new(),
                pending: Pending::Unknown,
                staged: Vec::new(),
                mark: Watermark::MIN,
                frozen: false,
                asked: false,
                finished: false,
                drained: false,
                events: events.clone(),
            };
            running.push(tokio::spawn(task.run(from, self.pace)));
        }
        Ok(Box::new(FakeTasks { world: self.world.clone(), counters, commands, running }))
    }

    fn state_pool(&self) -> &Arc<Pool> {
        static POOL: LazyLock<Arc<Pool>> =
            LazyLock::new(|| Arc::new(Pool::new("the fake program's state", 1 << 40)));
        &POOL
    }
}

fn restore_counts(
    restored: Restored,
    range: KeyGroupRange,
) -> Result<BTreeMap<KeyGroup, u64>, EngineError> {
    let mut counts = BTreeMap::new();
    for segment in restored.segments {
        for block in segment.blocks_in(range) {
            let (group, bytes) = block.map_err(EngineError::internal)?;
            counts.insert(group, u64::from_le_bytes(bytes[..8].try_into().unwrap()));
        }
    }
    Ok(counts)
}

#[async_trait]
impl HostedTasks for FakeTasks {
    fn command(&self, vertex: VertexId, subtask: Subtask, command: TaskCommand) {
        if let Some(task) = self.commands.get(&(vertex, subtask)) {
            task.send(command).ok();
        }
    }

    fn reports(&self) -> Vec<TaskReport> {
        let report = |(vertex, subtask, counters): &Counters| TaskReport {
            vertex: *vertex,
            subtask: *subtask,
            operators: counters.iter().map(|(uid, m)| (uid.clone(), m.clone(), 0)).collect(),
            watermark: None,
            remaining: 0,
            time: TimeInState::default(),
            splits: Vec::new(),
            shown: Vec::new(),
        };
        self.counters.iter().map(report).collect()
    }

    async fn stop(self: Box<Self>) {
        self.world.stopped.fetch_add(1, Ordering::SeqCst);
        for task in self.running {
            task.abort();
            task.await.ok();
        }
    }
}

struct FakeTask {
    world: Arc<World>,
    term: Term,
    vertex: VertexId,
    subtask: Subtask,
    range: KeyGroupRange,
    counts: BTreeMap<KeyGroup, u64>,
    counters: [(OperatorUid, Arc<OperatorMetrics>); 3],
    dirty: BTreeSet<KeyGroup>,
    /// Rows read in this term.
    rows: usize,
    splits: Vec<(Split, u64, u64)>,
    pending: Pending,
    staged: Vec<u64>,
    /// The last row read.
    mark: Watermark,
    frozen: bool,
    asked: bool,
    finished: bool,
    drained: bool,
    events: mpsc::UnboundedSender<TaskEvent>,
}

impl FakeTask {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<TaskCommand>, pace: Duration) {
        let mut rows = tokio::time::interval(pace);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                _ = rows.tick(), if !self.frozen => self.step(),
            }
        }
    }

    fn on_command(&mut self, command: TaskCommand) {
        match command {
            TaskCommand::AddSplits(assignment) => {
                self.pending = assignment.pending;
                for split in assignment.splits {
                    let (from, to) = serde_json::from_slice(&split.position).unwrap();
                    self.splits.push((split, from, to));
                    self.asked = false;
                }
            }
            TaskCommand::Trigger(_) if self.is_deaf() => {}
            TaskCommand::Trigger(trigger) => self.freeze(&trigger),
            TaskCommand::Resume(_) => self.frozen = false,
            TaskCommand::Drain => self.drained = true,
            TaskCommand::Follow(_) | TaskCommand::Abandon(_) | TaskCommand::Look(_) => {}
        }
    }

    fn is_deaf(&self) -> bool {
        self.subtask.0 > 0 && self.world.deaf.load(Ordering::SeqCst)
    }

    fn step(&mut self) {
        if let Some(error) = self.world.failure.lock().unwrap().take() {
            let (vertex, subtask) = (self.vertex, self.subtask);
            self.events.send(TaskEvent::Failed { vertex, subtask, error }).ok();
        }
        if let Some((split, from, to)) = self.splits.first_mut().filter(|_| !self.drained) {
            let mut every_second = (self.range.start..self.range.end).step_by(2);
            let turn = self.rows % every_second.len().max(1);
            let group = KeyGroup(every_second.nth(turn).unwrap_or_default());
            self.rows += 1;
            let [(_, numbers), _, (_, sink)] = &self.counters;
            numbers.add(Counter::RowsOut, 1);
            sink.add(Counter::RowsIn, 1);
            self.staged.push(*from);
            self.mark = self.mark.max(Watermark(*from as i64));
            *self.counts.entry(group).or_default() += 1;
            self.dirty.insert(group);
            *from += 1;
            split.position = serde_json::to_vec(&(*from, *to)).unwrap().into();
            if from == to {
                self.splits.remove(0);
            }
            return;
        }
        let (vertex, subtask) = (self.vertex, self.subtask);
        if (self.drained || self.pending == Pending::Ended) && !self.finished {
            self.finished = true;
            self.mark = Watermark::MAX;
            self.events.send(TaskEvent::Finished { vertex, subtask }).ok();
        } else if !self.asked && !self.finished {
            self.asked = true;
            self.events.send(TaskEvent::SplitRequest { vertex, subtask, returned: vec![] }).ok();
        }
    }

    fn freeze(&mut self, trigger: &TriggerRequest) {
        self.frozen = trigger.freeze;
        let mut segment = SegmentBuilder::new(
            if trigger.full { SegmentKind::Full } else { SegmentKind::Delta },
            self.range,
            1,
        );
        for (group, count) in &self.counts {
            if trigger.full || self.dirty.contains(group) {
                let mut block = count.to_le_bytes().to_vec();
                block.resize(8 + self.world.padding[usize::from(group.0 % 2)], 0);
                segment.push(*group, &block);
            }
        }
        self.dirty.clear();
        let name = format!("{}-{}-{}", self.term, self.subtask, trigger.attempt);
        let staged = std::mem::take(&mut self.staged);
        let flush = async move {
            let payload = serde_json::to_vec(&(name, &staged)).unwrap().into();
            let committables = match staged.is_empty() {
                true => Vec::new(),
                false => vec![Committable { sink: "sink".into(), payload }],
            };
            Ok(PreCommitted { committables, items: Vec::new() })
        };
        let keyed: Box<dyn Frozen> = Box::new(Encoded(segment.finish()));
        let frozen = FrozenTask {
            attempt: trigger.attempt,
            vertex: self.vertex,
            subtask: self.subtask,
            operators: vec![
                ("numbers".into(), Snapshot::default()),
                ("counter".into(), Snapshot { keyed: Some(keyed), ..Snapshot::default() }),
                (
                    "sink".into(),
                    Snapshot { pre_commit: Some(flush.boxed()), ..Snapshot::default() },
                ),
            ],
            counts: self.counters.iter().map(|(uid, m)| (uid.clone(), m.counts())).collect(),
            splits: Some((
                "numbers".into(),
                self.splits.iter().map(|(split, _, _)| split.clone()).collect(),
            )),
            watermark: Some(self.mark),
            align_us: 0,
            freeze_us: 0,
        };
        self.events.send(TaskEvent::Frozen(Box::new(frozen))).ok();
    }
}

struct Encoded(Segment);

impl Frozen for Encoded {
    fn encode(self: Box<Self>) -> Result<Vec<Segment>, EngineError> {
        Ok(vec![self.0])
    }
}

pub(crate) fn user_error(message: &str) -> EngineError {
    EngineError { fault: Fault::User, message: message.into() }
}
