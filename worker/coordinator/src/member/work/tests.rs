use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use weir_checkpoint::store::testing::MemoryStore;
use weir_checkpoint::{Nonces, TaskSnapshot};
use weir_engine::OperatorError;
use weir_engine::graph::{OperatorInfo, Parallelism, Vertex};
use weir_engine::operator::{
    Committable, Context, Operator, OperatorFactory, PreCommitted, Snapshot,
};
use weir_engine::task::{TaskCommand, TaskReport};
use weir_protocol::{Subtask, VertexId};

use super::*;

const TASK: TaskId = (VertexId(1), Subtask(0));

struct NoTasks;

#[async_trait::async_trait]
impl HostedTasks for NoTasks {
    fn command(&self, _: VertexId, _: Subtask, _: TaskCommand) {}

    fn reports(&self) -> Vec<TaskReport> {
        Vec::new()
    }

    async fn stop(self: Box<Self>) {}
}

fn running() -> Running {
    let all = BTreeSet::from([TASK]);
    let reader = DataReader::new(Arc::new(MemoryStore::new()));
    Running {
        term: Term(1),
        graph: Arc::new(JobGraph::default()),
        tasks: Box::new(NoTasks),
        frozen: Frozen::new(all.clone(), StoredTables::default()),
        all,
        sources: BTreeSet::new(),
        looked: BTreeSet::new(),
        looks: BTreeSet::new(),
        writer: DataWriter::new(Arc::new(MemoryStore::new()), Term(1), Nonces::seeded(1)),
        queued: BTreeMap::new(),
        preparing: FuturesUnordered::new(),
        uploads: VecDeque::new(),
        uploading: None,
        reader: reader.clone(),
        merging: None,
        state_pool: Arc::new(Pool::new("state", 1 << 30)),
        segments: Arc::new(OpenSegments::new(reader)),
        telling: None,
        failed: false,
    }
}

/// Tasks that remember how many operators they were last asked to show.
struct Asked(Arc<std::sync::Mutex<Vec<usize>>>);

#[async_trait::async_trait]
impl HostedTasks for Asked {
    fn command(&self, _: VertexId, _: Subtask, command: TaskCommand) {
        if let TaskCommand::Look(looks) = command {
            self.0.lock().unwrap().push(looks.len());
        }
    }

    fn reports(&self) -> Vec<TaskReport> {
        Vec::new()
    }

    async fn stop(self: Box<Self>) {}
}

#[test]
fn a_task_is_told_once_that_nobody_looks_any_more() {
    let asked = Arc::default();
    let info = OperatorInfo { uid: "sums".into(), ..OperatorInfo::default() };
    let none = |_: &Context| -> Result<Box<dyn Operator>, OperatorError> {
        Err(OperatorError::internal("no operator"))
    };
    let factory: Arc<dyn OperatorFactory> = Arc::new(none);
    let vertex = |id| Vertex {
        id: VertexId(id),
        name: String::new(),
        parallelism: Parallelism::Job,
        chain: vec![(info.clone(), Node::Operator(Arc::clone(&factory)))],
    };
    let graph = JobGraph { vertices: vec![vertex(0), vertex(1)], ..JobGraph::default() };
    let tasks = Box::new(Asked(Arc::clone(&asked)));
    let mut running = Running { graph: Arc::new(graph), tasks, ..running() };
    let look = |uid: &str| control::Look { uid: uid.into(), rows: true };
    running.look(&[]);
    running.look(&[look("others")]);
    assert_eq!(*asked.lock().unwrap(), [] as [usize; 0]);
    running.look(&[look("sums")]);
    running.look(&[look("others")]);
    running.look(&[]);
    assert_eq!(*asked.lock().unwrap(), [1, 0], "then it keeps no rows any more");
}

/// A sink's part of an attempt: one committable, which takes its time to be flushed.
fn frozen(attempt: u64, payload: &'static str, flush: Duration) -> FrozenTask {
    let item = Committable { sink: "out".into(), payload: Bytes::from(payload) };
    let pre_commit = async move {
        tokio::time::sleep(flush).await;
        Ok(PreCommitted { committables: vec![item], items: Vec::new() })
    };
    let snapshot = Snapshot { pre_commit: Some(pre_commit.boxed()), ..Snapshot::default() };
    FrozenTask {
        attempt: Attempt(attempt),
        operators: vec![("out".into(), snapshot)],
        ..placeholder(TASK)
    }
}

async fn finish_preparing(running: &mut Running) {
    while let Some((task, result)) = running.preparing.next().await {
        running.prepared(task, result).unwrap();
    }
}

/// What the next acknowledgement commits.
async fn acknowledged(running: &mut Running) -> (Attempt, Vec<Bytes>) {
    let (attempt, acks) = running.uploading.take().expect("an upload").await;
    running.upload_next();
    let acks = acks.unwrap();
    let snapshots = acks.iter().map(|ack| serde_json::from_slice(&ack.snapshot_json).unwrap());
    let committables = snapshots.flat_map(|snapshot: TaskSnapshot| snapshot.committables);
    (attempt, committables.map(|committable| committable.payload).collect())
}

/// The earlier attempt was given up while its flush was under way. The later one, flushed at once,
/// may not be acknowledged without what was frozen before it.
#[tokio::test(start_paused = true)]
async fn a_quick_attempt_waits_for_what_a_slow_one_before_it_froze() {
    let mut running = running();
    running.freeze(frozen(1, "slow", Duration::from_secs(3)));
    running.frozen.abandon(Attempt(1));
    running.freeze(frozen(2, "quick", Duration::ZERO));
    finish_preparing(&mut running).await;
    let both = vec![Bytes::from("slow"), Bytes::from("quick")];
    assert_eq!(acknowledged(&mut running).await, (Attempt(2), both));
    running.frozen.published(Attempt(2));
    running.freeze(frozen(3, "after", Duration::ZERO));
    finish_preparing(&mut running).await;
    assert_eq!(acknowledged(&mut running).await, (Attempt(3), vec![Bytes::from("after")]));
}
