//! A toy job over the real chain: rows are numbers, a sink stages, commits and discards them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_checkpoint::manifest::{Assignment, Member};
use weir_checkpoint::store::Store;
use weir_checkpoint::store::testing::{LyingStore, MemoryStore};
use weir_checkpoint::{
    Authority, Chain, ChainOptions, CheckpointBody, CommitId, DataWriter, Destroyed, Manifest,
    Nonces, OperatorEntry, OperatorState, PendingCommit, PublishError, Published, SealRequest,
    SegmentRef, Start, Steps, TakeOverError, WriterTerm,
};
use weir_protocol::{
    Attempt, Committable, JobName, KeyGroup, KeyGroupRange, OperatorUid, Split, Term, Version,
    WorkerId,
};
use weir_state::segment::{SegmentBuilder, SegmentKind};

pub const SOON: Duration = Duration::from_secs(10);
pub const NEVER: Duration = Duration::from_secs(1_000_000);

pub fn job() -> JobName {
    "default/airport-delays".into()
}

pub fn request(worker: u32) -> SealRequest {
    SealRequest {
        job_uid: Some("uid-a".into()),
        adopt: None,
        revision: "5c9f".into(),
        authority: Authority::Own,
        plan_hash: "plan".into(),
        coordinator: Member {
            worker: WorkerId(worker),
            address: format!("job-{worker}:7000"),
            ..Member::default()
        },
        assignment: Assignment::default(),
        max_parallelism: 128,
        start: Start::Latest,
        must_exist: false,
        acknowledged: BTreeSet::new(),
        created_ms: 0,
    }
}

/// One external system: what is staged, visible and destroyed, by payload.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<SinkState>>);

#[derive(Default)]
struct SinkState {
    staged: BTreeSet<String>,
    visible: BTreeSet<String>,
    destroyed: BTreeSet<String>,
}

impl Sink {
    pub fn stage(&self, payload: &str) {
        self.0.lock().unwrap().staged.insert(payload.to_owned());
    }

    /// Repeatable; `Err` is what a real committer calls `Lost`.
    pub fn commit(&self, payload: &str) -> Result<(), String> {
        let mut s = self.0.lock().unwrap();
        if s.visible.contains(payload) {
            return Ok(());
        }
        if s.staged.remove(payload) {
            s.visible.insert(payload.to_owned());
            return Ok(());
        }
        Err(format!("{payload} is lost"))
    }

    pub fn discard(&self, payload: &str) -> Destroyed {
        let mut s = self.0.lock().unwrap();
        if s.visible.contains(payload) {
            return Destroyed::AlreadyVisible;
        }
        s.staged.remove(payload);
        s.destroyed.insert(payload.to_owned());
        Destroyed::Gone
    }

    /// Every visible row with how often it is visible.
    pub fn rows(&self) -> BTreeMap<u64, usize> {
        let mut rows = BTreeMap::new();
        for payload in &self.0.lock().unwrap().visible {
            for row in rows_of(payload) {
                *rows.entry(row).or_default() += 1;
            }
        }
        rows
    }

    /// Exactly the rows `0..n`, each once.
    pub fn assert_exactly(&self, n: u64) {
        let expected: BTreeMap<u64, usize> = (0..n).map(|r| (r, 1)).collect();
        assert_eq!(self.rows(), expected);
    }
}

/// A segment that is too large to travel inline.
pub async fn large_segment(writer: &DataWriter) -> SegmentRef {
    let mut builder = SegmentBuilder::new(SegmentKind::Full, KeyGroupRange::all(128), 1);
    builder.push(KeyGroup(9), &[7; 100_000]);
    let written = writer.write_segments(&"source".into(), &[builder.finish()]).await.unwrap();
    written.into_iter().next().unwrap()
}

/// `term:from..to#serial`
pub fn rows_of(payload: &str) -> std::ops::Range<u64> {
    let range = payload.split([':', '#']).nth(1).unwrap();
    let (from, to) = range.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

pub fn text(pending: &PendingCommit) -> String {
    String::from_utf8(pending.committable.payload.to_vec()).unwrap()
}

/// A coordinator with its job's only task.
pub struct Toy {
    pub writer: WriterTerm,
    pub sink: Sink,
    pub position: u64,
    pub frozen: Vec<String>,
    attempts: u64,
}

pub fn position_of(manifest: &Manifest) -> u64 {
    manifest
        .operators
        .get(&"source".into())
        .map_or(0, |e| serde_json::from_slice(&e.state.splits[0].position).unwrap())
}

impl Toy {
    pub fn on(writer: WriterTerm, sink: &Sink) -> Self {
        let position = position_of(&writer.head());
        Self { writer, sink: sink.clone(), position, frozen: Vec::new(), attempts: 0 }
    }

    /// Takes over and recovers: commits what the head lists, then starts.
    pub async fn start(chain: &Chain, sink: &Sink, r: &SealRequest) -> Result<Self, TakeOverError> {
        let toy = Self::on(chain.take_over(r, NEVER).await?, sink);
        toy.commit_all().await;
        Ok(toy)
    }

    /// Reads rows and freezes them for an attempt: staged, not published.
    pub fn freeze(&mut self, rows: u64) {
        self.attempts += 1;
        let (from, to) = (self.position, self.position + rows);
        let serial = self.attempts;
        let payload = format!("{}:{from}..{to}#{serial}", self.writer.term());
        self.sink.stage(&payload);
        self.frozen.push(payload);
        self.position = to;
    }

    pub fn body(&self) -> CheckpointBody {
        let sink = OperatorUid::from("sink");
        let split = Split {
            id: "all".into(),
            position: self.position.to_string().into(),
            watermark: None,
            lower_bound: None,
            size: 0,
        };
        let state = OperatorState { splits: vec![split], ..Default::default() };
        let source = OperatorEntry { state, ..Default::default() };
        CheckpointBody {
            attempt: Attempt(self.attempts),
            operators: [("source".into(), source)].into(),
            commits: self
                .frozen
                .iter()
                .map(|p| Committable { sink: sink.clone(), payload: p.clone().into() })
                .collect(),
            ..CheckpointBody::default()
        }
    }

    pub async fn publish(&mut self, give_up: Duration) -> Result<Published, PublishError> {
        let result = self.writer.publish(self.body(), give_up).await;
        if result.is_ok() {
            self.frozen.clear();
        }
        result
    }

    pub async fn checkpoint(&mut self, rows: u64) -> Published {
        self.freeze(rows);
        self.publish(NEVER).await.unwrap()
    }

    /// Commits everything that is pending and acknowledges it.
    pub async fn commit_all(&self) {
        for pending in self.writer.pending() {
            self.sink.commit(&text(&pending)).unwrap();
            self.writer.commits_acknowledged(pending.epoch, &[pending.index]).await;
        }
    }

    pub fn discard(&self) -> Vec<(CommitId, Destroyed)> {
        let head = self.writer.head();
        let destroyed = head.roll_back.as_ref().map(|r| r.destroy.clone()).unwrap_or_default();
        head.pending
            .iter()
            .filter(|p| destroyed.contains(&p.id()))
            .map(|p| (p.id(), self.sink.discard(&text(p))))
            .collect()
    }
}

/// One store and the clients that reach it.
pub struct Rig {
    pub memory: MemoryStore,
    pub sink: Sink,
    pub nonces: Nonces,
}

impl Rig {
    pub fn new() -> Self {
        Self { memory: MemoryStore::new(), sink: Sink::default(), nonces: Nonces::seeded(7) }
    }

    pub fn options(&self) -> ChainOptions {
        ChainOptions { nonces: self.nonces.clone(), steps: Steps::counting(), ..Default::default() }
    }

    /// A client with faults of its own.
    pub fn client(&self) -> (LyingStore, Chain) {
        let lying = LyingStore::new(Arc::new(self.memory.clone()));
        let store: Arc<dyn Store> = Arc::new(lying.clone());
        (lying, Chain::attach(store, &job(), self.options()))
    }

    pub fn chain(&self) -> Chain {
        self.client().1
    }

    pub async fn head(&self) -> Manifest {
        self.chain().read_head().await.unwrap().unwrap()
    }

    /// The job as a successor finds it: takes over, commits, and says how many rows are covered.
    pub async fn recover(&self, worker: u32) -> Toy {
        Toy::start(&self.chain(), &self.sink, &request(worker)).await.unwrap()
    }
}

pub fn v(n: u64) -> Version {
    Version(n)
}

pub fn t(n: u64) -> Term {
    Term(n)
}
