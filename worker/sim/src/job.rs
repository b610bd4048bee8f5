//! The simulated job: events from splits, counted per key and window, staged and committed.
//!
//! Everything is determined by [`JobSpec`]: which rows exist, in which order each split gives
//! them, and so which rows are late and what every window holds. [`JobSpec::expected`] computes
//! the result without the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::graph::{
    Edge, Exchange, JobGraph, Node, OperatorInfo, Parallelism, SourceNode, Vertex,
};
use weir_engine::operator::{OutputTag, StateSchema};
use weir_engine::operators::window::{self, spec};
use weir_engine::source::{
    Assignment, EventTimes, RowMark, Source, SourcePoll, SourceReader, Split, SplitEnumerator,
    WatermarkRule,
};
use weir_engine::{Context, EngineError};
use weir_protocol::{OperatorCounts, OperatorUid, VertexId};

use crate::outside::{Outside, sink_factory};

/// Length of a window, in milliseconds.
const WINDOW: i64 = 1_000;
/// How far rows may be out of order before they are late.
const DELAY: i64 = 300;

/// What the job reads, and how fast.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Number of splits.
    pub splits: u32,
    /// Rows of each split.
    pub rows: i64,
    /// Distinct keys.
    pub keys: i64,
    /// Rows that a split gives at once.
    pub batch: i64,
    /// Simulated time between two batches of a reader.
    pub pause: Duration,
    /// Whether all splits are read at once, so that windows close on the way, or one after the
    /// other, so that most close at the end.
    pub assignment: Assignment,
}

/// What a run comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Visible rows: `key window_start count` → how often.
    pub visible: BTreeMap<String, u64>,
    /// What the operators say of it.
    pub counted: Counted,
}

/// What operators have counted over the life of the job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Rows of the source.
    pub read: u64,
    /// Rows that came too late.
    pub late: u64,
    /// Rows that the sink was given.
    pub written: u64,
}

impl Counted {
    /// From what each operator has counted.
    #[must_use]
    pub fn of(counts: &BTreeMap<OperatorUid, OperatorCounts>) -> Self {
        let of = |uid: &str| counts.get(&uid.into()).copied().unwrap_or_default();
        let late = counts.values().map(|counts| counts.late).sum();
        Self { read: of("events").rows_out, late, written: of("out").rows_in }
    }
}

/// One row: event time and key.
fn row(split: u32, n: i64, keys: i64) -> (i64, i64) {
    // A fixed scramble; every 37th row comes far too late.
    let mixed = (n.wrapping_mul(0x9E37_79B9) ^ (i64::from(split) << 7)).rem_euclid(1 << 31);
    let late = if n % 37 == 36 { 2_000 } else { 0 };
    (n * 10 - mixed % 250 - late, mixed % keys)
}

impl JobSpec {
    /// What a run comes to. The rules of PROTOCOL section 7, written down naively.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let mut counts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        let mut late = 0;
        for split in 0..self.splits {
            let mut watermark = i64::MIN;
            for n in 0..self.rows {
                let (time, key) = row(split, n, self.keys);
                let start = time.div_euclid(WINDOW) * WINDOW;
                if start + WINDOW > watermark {
                    *counts.entry((key, start)).or_default() += 1;
                } else {
                    late += 1;
                }
                watermark = watermark.max(time - DELAY);
            }
        }
        let visible: BTreeMap<String, u64> =
            counts.into_iter().map(|((key, start), n)| (format!("{key} {start} {n}"), 1)).collect();
        let read = u64::from(self.splits) * self.rows as u64;
        let counted = Counted { read, late, written: visible.len() as u64 };
        Expected { visible, counted }
    }

    /// The job graph: events → local counts ⇒ global counts → sink.
    ///
    /// # Errors
    /// When the engine refuses the aggregation.
    pub fn graph(&self, outside: &Arc<Outside>) -> Result<Arc<JobGraph>, EngineError> {
        let aggregate = spec::WindowAggregate {
            input: schema(),
            time: 0,
            window: spec::Window::Tumble { size: WINDOW, offset: 0 },
            keys: vec![1],
            aggregates: vec![spec::AggregateCall {
                function: spec::Function::Count,
                input: None,
                filter: None,
                distinct: false,
                output: DataType::Int64,
                name: "n".into(),
            }],
        };
        let info = |uid: &str, state: Option<StateSchema>| OperatorInfo {
            uid: uid.into(),
            name: uid.into(),
            state,
            ..OperatorInfo::default()
        };
        let keyed = Some(window::state_schema(&aggregate)?);
        let rule = WatermarkRule { column: 0, mark: RowMark::Delay(DELAY), idle_after: None };
        let source = SourceNode {
            source: Arc::new(Events(self.clone())),
            event_times: Arc::new(move || Box::new(Times(rule.clone()))),
            describe: BTreeMap::new(),
        };
        let between = window::intermediate_schema(&aggregate)?;
        let local = window::local(&aggregate)?;
        let global = window::global(&aggregate)?;
        let vertices = vec![
            Vertex {
                id: VertexId(0),
                name: "events".into(),
                parallelism: Parallelism::Job,
                chain: vec![
                    (info("events", None), Node::Source(source)),
                    (info("local counts", None), Node::Operator(local)),
                ],
            },
            Vertex {
                id: VertexId(1),
                name: "counts".into(),
                parallelism: Parallelism::Job,
                chain: vec![
                    (info("counts", keyed), Node::Operator(global)),
                    (info("out", None), Node::Operator(sink_factory(outside))),
                ],
            },
        ];
        let edges = vec![Edge {
            from: VertexId(0),
            operator: 1,
            output: OutputTag::Main,
            to: VertexId(1),
            input: 0,
            exchange: Exchange::Hash { columns: window::exchange_columns(&aggregate), reuse: true },
            schema: between,
        }];
        Ok(Arc::new(JobGraph {
            vertices,
            edges,
            committers: BTreeMap::from([("out".into(), Arc::clone(outside) as _)]),
            max_parallelism: 24,
            hash: "simulated".into(),
        }))
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("key", DataType::Int64, false),
    ]))
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

struct Events(JobSpec);

impl Source for Events {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn assignment(&self) -> Assignment {
        self.0.assignment
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Enumerator {
            splits: self.0.splits,
            rows: self.0.rows,
            found: snapshot.is_some(),
        }))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader { spec: self.0.clone(), splits: BTreeMap::new(), rest: false, turn: 0 }))
    }
}

struct Enumerator {
    splits: u32,
    rows: i64,
    found: bool,
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if std::mem::replace(&mut self.found, true) {
            return Ok(Vec::new());
        }
        let split = |n: u32| Split {
            id: n.to_string(),
            position: Bytes::from("0"),
            watermark: None,
            lower_bound: None,
            size: self.rows as u64,
        };
        Ok((0..self.splits).map(split).collect())
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        Bytes::from_static(b"\"found\"")
    }
}

struct Reader {
    spec: JobSpec,
    /// Index → split and next row.
    splits: BTreeMap<usize, (u32, i64)>,
    rest: bool,
    turn: usize,
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Result<T, EngineError> {
    let text = std::str::from_utf8(bytes).map_err(EngineError::ours)?;
    text.parse().map_err(|_| EngineError::ours(format!("{text} is not a number")))
}

impl SourceReader for Reader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        self.splits.insert(index, (parse(split.id.as_bytes())?, parse(&split.position)?));
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        if let Some((&index, _)) = self.splits.iter().find(|(_, (_, at))| *at >= self.spec.rows) {
            self.splits.remove(&index);
            return Ok(SourcePoll::Finished { split: index });
        }
        // A reader rests after each batch, so that a run takes simulated time.
        self.rest = !self.rest;
        let n = self.splits.len();
        if self.rest || n == 0 {
            let (waker, pause) = (cx.waker.clone(), self.spec.pause);
            cx.io.spawn(async move {
                tokio::time::sleep(pause).await;
                waker.wake();
            });
            return Ok(SourcePoll::Pending);
        }
        self.turn += 1;
        let Some((&index, (split, at))) = self.splits.iter_mut().nth(self.turn % n) else {
            return Ok(SourcePoll::Pending);
        };
        let end = (*at + self.spec.batch).min(self.spec.rows);
        let rows: Vec<_> = (*at..end).map(|n| row(*split, n, self.spec.keys)).collect();
        *at = end;
        let times: ArrayRef =
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.0)));
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
        Ok(SourcePoll::Rows {
            split: index,
            records: RecordBatch::try_new(schema(), vec![times, keys])?,
        })
    }

    fn position(&self, index: usize) -> Bytes {
        let at = self.splits.get(&index).map_or(self.spec.rows, |(_, at)| *at);
        Bytes::from(at.to_string())
    }
}
