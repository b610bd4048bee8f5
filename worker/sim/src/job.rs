//! The simulated job: events from splits, aggregated per key and window, staged and committed.
//!
//! Everything is determined by [`JobSpec`]: which rows exist, in which order each split gives
//! them, and so which rows are late and what every window holds. [`JobSpec::expected`] computes
//! the result without the engine, row by row: a result says of which rows it was made.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use weir_engine::aggregate::{AggregateCall, functions};
use weir_engine::graph::{
    Edge, Exchange, JobGraph, Node, OperatorInfo, Parallelism, SourceNode, Vertex,
};
use weir_engine::operator::{OutputTag, StateSchema};
use weir_engine::operators::window::{self, spec};
use weir_engine::source::{Assignment, RowMark, WatermarkRule};
use weir_engine::{Batch, Context, EngineError};
use weir_protocol::{Counter, OperatorCounts, OperatorUid, VertexId};

use crate::arrival::Arrivals;
use crate::external::{ExternalSystem, sink_factory};
use crate::running;
use crate::source::{Events, Times, schema};

/// Event time that a burst spans, in milliseconds. Rows of one burst come in any order.
const BURST: i64 = 2_000;
/// A row so far behind counts nowhere.
const FAR: i64 = 1_000_000;

/// Where the job's rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// All splits are there from the beginning, each a long stretch of time with rows out of order.
    Files,
    /// A folder that is watched: a burst of small splits, then nothing until all are read. Readers
    /// that have none are idle.
    Bursts,
    /// A few splits that are read for ever, each with rows of some bursts only. The others are
    /// idle meanwhile.
    Partitions,
}

/// A job that can be simulated.
pub trait Job: Send + Sync {
    /// What a process runs. Sinks stage into `external`, or bring committers of their own.
    ///
    /// # Errors
    /// When the engine refuses the job.
    fn graph(
        &self,
        external: &Arc<ExternalSystem>,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Arc<JobGraph>, EngineError>;

    /// When rows arrive, where sources wait for that.
    fn arrivals(&self) -> Arrivals {
        Arrivals::new(Vec::new(), false)
    }
}

/// What the job reads, and how fast.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// What kind of splits.
    pub input: Input,
    /// Sources, which share the splits.
    pub sources: u32,
    /// Splits of `Files` and `Partitions`.
    pub splits: u32,
    /// Rows of each split of `Files`.
    pub rows: i64,
    /// Bursts of the others.
    pub bursts: u32,
    /// Distinct keys.
    pub keys: i64,
    /// Rows that a split gives at once.
    pub batch: i64,
    /// Simulated time between two batches of a reader.
    pub pause: Duration,
    /// How long one of the `Partitions` is silent before it is idle.
    pub idle_after: Duration,
    /// Whether all splits are read at once, so that windows close on the way, or one after the
    /// other, so that most close at the end.
    pub assignment: Assignment,
    /// The windows.
    pub window: spec::Window,
}

/// A split, before anything is read of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SplitSpec {
    pub(crate) number: u32,
    pub(crate) source: u32,
    /// How many rows come with which burst, in order.
    parts: Vec<(usize, i64)>,
}

impl SplitSpec {
    pub(crate) fn rows(&self) -> i64 {
        self.parts.iter().map(|(_, rows)| rows).sum()
    }

    pub(crate) fn first_burst(&self) -> usize {
        self.parts.first().map_or(0, |(burst, _)| *burst)
    }

    /// The burst that a row comes with, and the end of that burst's rows.
    pub(crate) fn burst_of(&self, row: i64) -> Option<(usize, i64)> {
        let ends = self.parts.iter().scan(0, |end, (burst, rows)| {
            *end += rows;
            Some((*burst, *end))
        });
        ends.into_iter().find(|(_, end)| row < *end)
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) time: i64,
    pub(crate) key: i64,
    /// No other row has it.
    pub(crate) id: i64,
}

/// What a run comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Visible rows: `key window_start count sum min max average distinct nth total` → how often.
    pub visible: BTreeMap<String, u64>,
    /// What the operators say of it.
    pub counted: Counted,
}

/// What operators have counted over the life of the job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Rows of the sources.
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
        let late = counts.values().map(|counts| counts[Counter::Late]).sum();
        let written = counts.get(&"out".into()).copied().unwrap_or_default()[Counter::RowsIn];
        Self { read: rows_read(counts), late, written }
    }
}

/// Rows that all sources have given.
pub(crate) fn rows_read(counts: &BTreeMap<OperatorUid, OperatorCounts>) -> u64 {
    let sources = counts.iter().filter(|(uid, _)| uid.0.starts_with("events"));
    sources.map(|(_, counts)| counts[Counter::RowsOut]).sum()
}

/// A fixed scramble.
fn mix(a: i64, b: i64) -> i64 {
    (a.wrapping_mul(0x9E37_79B9) ^ (b << 7)).rem_euclid(1 << 31)
}

impl JobSpec {
    /// How far rows may be out of order before they are late.
    fn delay(&self) -> i64 {
        match self.input {
            Input::Files => 300,
            Input::Bursts | Input::Partitions => BURST,
        }
    }

    pub(crate) fn row(&self, split: &SplitSpec, n: i64) -> Row {
        let mixed = mix(n, i64::from(split.number));
        let id = i64::from(split.number) * 10_000 + n;
        let key = mixed % self.keys;
        // Every 37th row comes far too late.
        let late = n % 37 == 36;
        let time = match self.input {
            Input::Files => n * 10 - mixed % 250 - if late { 2_000 } else { 0 },
            Input::Bursts | Input::Partitions if late => -FAR,
            Input::Bursts | Input::Partitions => {
                let burst = split.burst_of(n).map_or(0, |(burst, _)| burst as i64);
                burst * BURST + (mixed >> 3) % BURST
            }
        };
        Row { time, key, id }
    }

    /// All splits, in the order in which they come.
    pub(crate) fn all_splits(&self) -> Vec<SplitSpec> {
        let mut splits = Vec::new();
        let mut add = |parts: Vec<(usize, i64)>| {
            let number = splits.len() as u32;
            let source = mix(i64::from(number), 5) as u32 % self.sources;
            splits.push(SplitSpec { number, source, parts });
        };
        match self.input {
            Input::Files => (0..self.splits).for_each(|_| add(vec![(0, self.rows)])),
            Input::Bursts => {
                for burst in 0..i64::from(self.bursts) {
                    for n in 0..=mix(burst, 1) % 3 {
                        add(vec![(burst as usize, 15 + mix(burst, n + 2) % 50)]);
                    }
                }
            }
            Input::Partitions => {
                for n in 0..i64::from(self.splits) {
                    let bursts = 0..i64::from(self.bursts);
                    let parts = bursts
                        .filter(|burst| {
                            burst % i64::from(self.splits) == n || mix(*burst, n) % 4 == 0
                        })
                        .map(|burst| (burst as usize, 10 + mix(burst, n + 2) % 40));
                    add(parts.collect());
                }
            }
        }
        splits
    }

    /// The windows that a time belongs to, as start and end.
    fn windows_of(&self, time: i64) -> impl Iterator<Item = (i64, i64)> {
        let (first, size, step, cumulates) = match self.window {
            spec::Window::Tumble { size, .. } => (time.div_euclid(size) * size, size, size, false),
            spec::Window::Hop { size, slide, .. } => {
                (time.div_euclid(slide) * slide - size + slide, size, slide, false)
            }
            spec::Window::Cumulate { size, step, .. } => {
                (time.div_euclid(size) * size, size, step, true)
            }
        };
        let windows = (0..size / step).map(move |n| match cumulates {
            false => (first + n * step, first + n * step + size),
            true => (first, first + (n + 1) * step),
        });
        windows.filter(move |(_, end)| *end > time)
    }

    /// What a run comes to. The rules of PROTOCOL section 7, written down naively.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let mut windows: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
        let (mut late, mut read) = (0, 0);
        for split in self.all_splits() {
            let mut watermark = i64::MIN;
            for row in (0..split.rows()).map(|n| self.row(&split, n)) {
                let open = self.windows_of(row.time).filter(|(_, end)| *end > watermark);
                let mut counts = false;
                for (start, _) in open {
                    counts = true;
                    windows.entry((row.key, start)).or_default().push(row.id);
                }
                late += u64::from(!counts);
                read += 1;
                watermark = watermark.max(row.time - self.delay());
            }
        }
        let mut running: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let visible: BTreeMap<String, u64> = windows
            .into_iter()
            .map(|((key, start), ids)| {
                let (nth, total) = running.entry(key).or_default();
                (*nth, *total) = (*nth + 1, *total + ids.len() as i64);
                (format!("{} {nth} {total}", result(key, start, &ids)), 1)
            })
            .collect();
        let counted = Counted { read, late, written: visible.len() as u64 };
        Expected { visible, counted }
    }

    fn aggregate(&self) -> spec::WindowAggregate {
        let call = |function, input, distinct, name: &str| AggregateCall {
            function,
            input,
            filter: None,
            distinct,
            name: name.into(),
        };
        spec::WindowAggregate {
            input: schema(),
            time: 0,
            window: self.window,
            keys: vec![1],
            aggregates: vec![
                call(functions::COUNT, None, false, "n"),
                call(functions::SUM, Some(2), false, "sum"),
                call(functions::MIN, Some(2), false, "least"),
                call(functions::MAX, Some(2), false, "most"),
                call(functions::AVG, Some(2), false, "average"),
                call(functions::COUNT, Some(2), true, "distinct"),
            ],
        }
    }
}

impl Job for JobSpec {
    fn arrivals(&self) -> Arrivals {
        let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
        for split in self.all_splits() {
            for (burst, n) in split.parts {
                *rows.entry(burst).or_default() += n as u64;
            }
        }
        let pause = |burst: usize| match (self.input, burst) {
            (Input::Files, _) => Duration::ZERO,
            // Checkpoints are taken before there is any row, and so before the first watermark.
            (_, 0) => Duration::from_millis(500),
            // Mostly the next burst comes before the next checkpoint.
            (_, n) if n % 5 == 4 => Duration::from_millis(300),
            _ => Duration::from_millis((mix(burst as i64, 3) % 40) as u64),
        };
        let bursts = rows.into_iter().map(|(burst, n)| (n, pause(burst)));
        Arrivals::new(bursts.collect(), self.input == Input::Partitions)
    }

    /// The job graph: each source's events → local results ⇒ global results → running totals →
    /// sink.
    fn graph(
        &self,
        external: &Arc<ExternalSystem>,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Arc<JobGraph>, EngineError> {
        let aggregate = self.aggregate();
        let info = |uid: &str, state: Option<StateSchema>| OperatorInfo {
            uid: uid.into(),
            name: uid.into(),
            state,
            ..OperatorInfo::default()
        };
        let keyed = Some(window::state_schema(&aggregate)?);
        let running = OperatorInfo { tables: running::tables(), ..info("running", None) };
        let idle_after = (self.input == Input::Partitions).then_some(self.idle_after);
        let rule = WatermarkRule { column: 0, mark: RowMark::Delay(self.delay()), idle_after };
        let counts = VertexId(self.sources);
        let (mut vertices, mut edges) = (Vec::new(), Vec::new());
        for n in 0..self.sources {
            let splits = self.all_splits().into_iter().filter(|s| s.source == n).collect();
            let events = Events {
                job: self.clone(),
                splits: Arc::new(splits),
                arrivals: Arc::clone(arrivals),
            };
            let rule = rule.clone();
            let source = SourceNode {
                source: Arc::new(events),
                event_times: Arc::new(move || Box::new(Times(rule.clone()))),
            };
            vertices.push(Vertex {
                id: VertexId(n),
                name: format!("events {n}"),
                parallelism: Parallelism::Job,
                chain: vec![
                    (info(&format!("events {n}"), None), Node::Source(source)),
                    (
                        info(&format!("local counts {n}"), None),
                        Node::Operator(window::local(&aggregate)?),
                    ),
                ],
            });
            edges.push(Edge {
                from: VertexId(n),
                operator: 1,
                output: OutputTag::Main,
                to: counts,
                input: 0,
                exchange: Exchange::Hash {
                    columns: window::exchange_columns(&aggregate),
                    reuse: true,
                },
                schema: window::intermediate_schema(&aggregate)?,
            });
        }
        vertices.push(Vertex {
            id: counts,
            name: "counts".into(),
            parallelism: Parallelism::Job,
            chain: vec![
                (info("counts", keyed), Node::Operator(window::global(&aggregate)?)),
                (running, Node::Operator(running::factory())),
                (
                    info("out", None),
                    Node::Operator(sink_factory(external, |_| Ok(Box::new(shown)))),
                ),
            ],
        });
        Ok(Arc::new(JobGraph {
            vertices,
            edges,
            committers: BTreeMap::from([("out".into(), Arc::clone(external) as _)]),
            replaces: None,
            max_parallelism: 24,
            hash: "simulated".into(),
        }))
    }
}

/// A window's result as the sink shows it.
fn result(key: i64, start: i64, ids: &[i64]) -> String {
    let (n, sum) = (ids.len() as i64, ids.iter().sum::<i64>());
    let (least, most) = (ids.iter().min().unwrap_or(&0), ids.iter().max().unwrap_or(&0));
    format!("{key} {start} {n} {sum} {least} {most} {} {n}", sum / n.max(1))
}

/// Rows of results as text: key, start, aggregates.
fn shown(_: &mut Context, batch: Batch) -> Result<Vec<String>, EngineError> {
    let columns = batch.records();
    let keys = columns.column(0).as_primitive::<Int64Type>();
    // Behind the key: the aggregates, then start, end and time of the window.
    let aggregates = columns.num_columns() - 3;
    let starts = columns.column(aggregates).as_primitive::<TimestampMillisecondType>();
    let aggregates: Vec<_> =
        (1..aggregates).map(|n| columns.column(n).as_primitive::<Int64Type>()).collect();
    let rows = (0..columns.num_rows()).map(|row| {
        let mut shown = format!("{} {}", keys.value(row), starts.value(row));
        for column in &aggregates {
            let _ = write!(shown, " {}", column.value(row));
        }
        shown
    });
    Ok(rows.collect())
}
