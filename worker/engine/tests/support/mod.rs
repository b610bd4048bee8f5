//! A small dataflow for tests: numbers from splits, keyed, counted by a sink that remembers.

#![allow(unreachable_pub, missing_docs, clippy::panic, reason = "a test's own module")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use weir_engine::env::Clock;
use weir_engine::exchange::{ExchangeServer, TcpTransport};
use weir_engine::graph::{
    Edge, Exchange, JobGraph, Node, OperatorInfo, Parallelism, SourceNode, Vertex,
};
use weir_engine::operator::{OutputTag, SnapshotRequest};
use weir_engine::runtime::{Deployment, Executor, Pool, Runtime, RuntimeConfig, TermTasks};
use weir_engine::source::{
    Assignment, EventTimes, Pending, RowMark, Source, SourcePoll, SourceReader, Split,
    SplitAssignment, SplitEnumerator, WatermarkRule,
};
use weir_engine::task::{TaskCommand, TaskEvent};
use weir_engine::{Batch, Context, EngineError, Operator, Output, Progress, Snapshot, Watermark};
use weir_protocol::{OperatorUid, Placement, Subtask, Term, VertexId, WorkerId};

pub const SOURCE: VertexId = VertexId(0);
pub const SINK: VertexId = VertexId(1);
const BATCH: i64 = 100;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("n", DataType::Int64, false),
    ]))
}

/// Split `start..end` gives its numbers, each also as its own event time.
pub fn split(start: i64, end: i64) -> Split {
    Split {
        id: format!("{start}..{end}"),
        position: Bytes::from(format!("{start}:{end}")),
        watermark: None,
        lower_bound: None,
        size: (end - start) as u64,
    }
}

pub fn position(split: &Split) -> (i64, i64) {
    let text = std::str::from_utf8(&split.position).expect("utf-8");
    let (a, b) = text.split_once(':').expect("two numbers");
    (a.parse().expect("number"), b.parse().expect("number"))
}

struct Numbers;

#[derive(Default)]
struct NumbersReader {
    splits: BTreeMap<usize, (i64, i64)>,
    gone: Vec<usize>,
    turn: usize,
}

impl Source for Numbers {
    fn schema(&self) -> SchemaRef {
        schema()
    }
    fn is_bounded(&self) -> bool {
        true
    }
    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }
    fn enumerator(&self, _: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Err(EngineError::internal("splits are assigned by the test"))
    }
    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(NumbersReader::default()))
    }
}

impl SourceReader for NumbersReader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        self.splits.insert(index, position(split));
        Ok(())
    }
    fn poll(&mut self, _: &mut Context) -> Result<SourcePoll, EngineError> {
        if let Some(index) = self.gone.pop() {
            self.splits.remove(&index);
            return Ok(SourcePoll::Finished { split: index });
        }
        self.turn += 1;
        let n = self.splits.len();
        let Some((&index, (at, end))) = self.splits.iter_mut().nth(self.turn % n.max(1)) else {
            return Ok(SourcePoll::Pending);
        };
        let upto = (*at + BATCH).min(*end);
        let records = rows(*at, upto);
        *at = upto;
        if upto == *end {
            self.gone.push(index);
        }
        Ok(SourcePoll::Rows { split: index, records })
    }
    fn position(&self, index: usize) -> Bytes {
        let (at, end) = self.splits[&index];
        Bytes::from(format!("{at}:{end}"))
    }
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(from..to));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    RecordBatch::try_new(schema(), vec![times, numbers]).expect("columns")
}

struct Times(WatermarkRule);

impl EventTimes for Times {
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError> {
        Ok(records)
    }
    fn rule(&self) -> Option<&WatermarkRule> {
        Some(&self.0)
    }
}

/// What sinks have seen.
#[derive(Default, Debug)]
pub struct Seen {
    pub numbers: Vec<i64>,
    pub marks: BTreeMap<u32, Vec<Watermark>>,
}

struct Remember {
    seen: Arc<Mutex<Seen>>,
    rows: usize,
}

impl Operator for Remember {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        let numbers = batch.records().column(1).as_primitive::<Int64Type>();
        self.rows += numbers.len();
        self.seen.lock().expect("lock").numbers.extend(numbers.values());
        Ok(Progress::Done)
    }
    fn on_watermark(
        &mut self,
        cx: &mut Context,
        mark: Watermark,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.seen.lock().expect("lock").marks.entry(cx.subtask.0).or_default().push(mark);
        Ok(Progress::Done)
    }
    fn on_barrier(&mut self, _: &mut Context, _: SnapshotRequest) -> Result<Snapshot, EngineError> {
        let count = Bytes::from(self.rows.to_string());
        Ok(Snapshot { items: vec![count], ..Snapshot::default() })
    }
}

/// numbers ⇒(hash of n) remember
pub fn graph(seen: &Arc<Mutex<Seen>>) -> Arc<JobGraph> {
    let info = |uid: &str| OperatorInfo { uid: uid.into(), name: uid.into(), ..Default::default() };
    let rule = WatermarkRule { column: 0, mark: RowMark::Delay(0), idle_after: None };
    let source = SourceNode {
        source: Arc::new(Numbers),
        event_times: Arc::new(move || Box::new(Times(rule.clone()))),
    };
    let seen = Arc::clone(seen);
    let sink = move |_: &Context| -> Result<Box<dyn Operator>, EngineError> {
        Ok(Box::new(Remember { seen: Arc::clone(&seen), rows: 0 }))
    };
    let vertex = |id, name: &str, chain| Vertex {
        id,
        name: name.into(),
        parallelism: Parallelism::Job,
        chain,
    };
    Arc::new(JobGraph {
        vertices: vec![
            vertex(SOURCE, "numbers", vec![(info("numbers"), Node::Source(source))]),
            vertex(SINK, "remember", vec![(info("remember"), Node::Operator(Arc::new(sink)))]),
        ],
        edges: vec![Edge {
            from: SOURCE,
            operator: 0,
            output: OutputTag::Main,
            to: SINK,
            input: 0,
            exchange: Exchange::Hash { columns: vec![1], reuse: false },
            schema: schema(),
        }],
        max_parallelism: 128,
        ..JobGraph::default()
    })
}

/// Workers of a test, all in this process, connected over loopback.
pub struct Cluster {
    pub tasks: Vec<TermTasks>,
    pub events: UnboundedReceiver<TaskEvent>,
    pub parallelism: u32,
}

impl Cluster {
    pub async fn start(graph: &Arc<JobGraph>, workers: u32, parallelism: u32) -> Self {
        let (sender, events) = unbounded_channel();
        let transport = Arc::new(TcpTransport);
        let mut runtimes = Vec::new();
        let mut peers = BTreeMap::new();
        for w in 0..workers {
            let server =
                ExchangeServer::start(&*transport, "127.0.0.1:0", "test").await.expect("listens");
            peers.insert(WorkerId(w), server.address().to_owned());
            runtimes.push(Runtime::new(RuntimeConfig {
                executor: Executor::threaded(1).expect("a thread"),
                clock: Clock::System,
                io: tokio::runtime::Handle::current(),
                state_pool: Arc::new(Pool::new("state", 1 << 30)),
                exchange_bytes: 1 << 20,
                transport: transport.clone(),
                exchange: Some(server),
            }));
        }
        let placements: Vec<_> = [SOURCE, SINK]
            .into_iter()
            .flat_map(|vertex| {
                (0..parallelism).map(move |s| Placement {
                    vertex,
                    subtask: Subtask(s),
                    worker: WorkerId(s % workers),
                })
            })
            .collect();
        let tasks = (0..workers)
            .map(|w| {
                let deployment = Deployment {
                    graph: Arc::clone(graph),
                    term: Term(1),
                    worker: WorkerId(w),
                    parallelism,
                    placements: placements.clone(),
                    peers: peers.clone(),
                    restored: BTreeMap::new(),
                    segments: Arc::new(()),
                };
                runtimes[w as usize].deploy(deployment, sender.clone()).expect("deploys")
            })
            .collect();
        // Listeners live as long as the runtime that holds them.
        std::mem::forget(runtimes);
        Self { tasks, events, parallelism }
    }

    pub fn command(&self, vertex: VertexId, subtask: u32, command: &TaskCommand) {
        for tasks in &self.tasks {
            tasks.command(vertex, Subtask(subtask), command.clone());
        }
    }

    pub fn command_sources(&self, command: &TaskCommand) {
        for s in 0..self.parallelism {
            self.command(SOURCE, s, command);
        }
    }

    pub fn assign(&self, subtask: u32, splits: Vec<Split>, pending: Pending) {
        let assignment = SplitAssignment { splits, pending, ..SplitAssignment::default() };
        self.command(SOURCE, subtask, &TaskCommand::AddSplits(assignment));
    }

    pub async fn event(&mut self) -> TaskEvent {
        let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await;
        match event.expect("an event within 20 s").expect("tasks run") {
            TaskEvent::Failed { error, .. } | TaskEvent::PeerLost { error, .. } => {
                panic!("{error}")
            }
            event => event,
        }
    }

    pub async fn finished(&mut self) {
        let mut left = 2 * self.parallelism;
        while left > 0 {
            if let TaskEvent::Finished { .. } = self.event().await {
                left -= 1;
            }
        }
    }
}

pub fn uid(text: &str) -> OperatorUid {
    text.into()
}
