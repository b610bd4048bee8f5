//! Both halves together against a naive model: any batches, watermarks, barriers and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use weir_protocol::{Attempt, KeyGroup, KeyGroupRange, OperatorUid, Subtask, Term};
use weir_state::hash::hash_columns;
use weir_state::segment::Segment;

use super::global::Global;
use super::local::{Limits, Local};
use super::plan::Plan;
use super::spec::{AggregateCall, Function, Window, WindowAggregate};
use super::{exchange_columns, intermediate_schema, output_schema};
use crate::env::Clock;
use crate::operator::{OperatorMetrics, OutputTag, Restored, SnapshotRequest, Waker};
use crate::{Batch, Context, Operator, Output, Progress, Watermark};

const GROUPS: u32 = 24;

/// A row of the input; every column a test may want.
#[derive(Clone, Debug)]
struct Row {
    ts: i64,
    k: Option<i64>,
    int: Option<i32>,
    float: Option<f64>,
    text: Option<String>,
    decimal: Option<i128>,
    flag: Option<bool>,
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("k", DataType::Int64),
        field("int", DataType::Int32),
        field("float", DataType::Float64),
        field("text", DataType::Utf8),
        field("decimal", DataType::Decimal128(10, 2)),
        field("flag", DataType::Boolean),
        field("big", DataType::Int64),
        field("single", DataType::Float32),
        field("day", DataType::Date32),
    ]))
}

fn single(value: Option<f64>) -> Option<f32> {
    value.map(|v| v as f32)
}

fn records(rows: &[Row]) -> RecordBatch {
    let decimal: Decimal128Array = rows.iter().map(|r| r.decimal).collect();
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.ts))),
            Arc::new(rows.iter().map(|r| r.k).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.int).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|r| r.float).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|r| r.text.clone()).collect::<StringArray>()),
            Arc::new(decimal.with_precision_and_scale(10, 2).unwrap()),
            Arc::new(rows.iter().map(|r| r.flag).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|r| r.int.map(big)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| single(r.float)).collect::<Float32Array>()),
            Arc::new(rows.iter().map(|r| r.int).collect::<Date32Array>()),
        ],
    )
    .unwrap()
}

fn big(int: i32) -> i64 {
    i64::from(int).wrapping_mul(0x4000_0000_0000_0001)
}

fn call(
    name: &str,
    function: Function,
    input: Option<&str>,
    filter: bool,
    distinct: bool,
    output: DataType,
) -> AggregateCall {
    let schema = schema();
    AggregateCall {
        function,
        input: input.map(|name| schema.index_of(name).unwrap()),
        filter: filter.then_some(6),
        distinct,
        output,
        name: name.to_owned(),
    }
}

/// Every function and type; what each gives is spelled out once more in [`expected`].
fn aggregates() -> Vec<AggregateCall> {
    use Function::*;
    let decimal = DataType::Decimal128;
    vec![
        call("count", Count, None, false, false, DataType::Int64),
        call("count_int", Count, Some("int"), false, false, DataType::Int64),
        call("count_if", Count, None, true, false, DataType::Int64),
        call("sum_int", Sum, Some("int"), false, false, DataType::Int32),
        call("sum_big", Sum, Some("big"), true, false, DataType::Int64),
        call("sum_float", Sum, Some("float"), false, false, DataType::Float64),
        call("sum_decimal", Sum, Some("decimal"), false, false, decimal(38, 2)),
        call("avg_int", Avg, Some("int"), false, false, DataType::Int32),
        call("avg_decimal", Avg, Some("decimal"), false, false, decimal(38, 6)),
        call("min_float", Min, Some("float"), false, false, DataType::Float64),
        call("max_single", Max, Some("single"), false, false, DataType::Float32),
        call("min_text", Min, Some("text"), false, false, DataType::Utf8),
        call("max_text", Max, Some("text"), true, false, DataType::Utf8),
        call("max_decimal", Max, Some("decimal"), false, true, decimal(10, 2)),
        call("min_day", Min, Some("day"), false, false, DataType::Date32),
        call("distinct_text", Count, Some("text"), false, true, DataType::Int64),
        call("distinct_sum", Sum, Some("int"), true, true, DataType::Int32),
        call("distinct_float", Count, Some("float"), false, true, DataType::Int64),
        call("distinct_avg", Avg, Some("decimal"), false, true, decimal(38, 6)),
    ]
}

fn shown(array: &dyn Array) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

fn show<A: Array + FromIterator<Option<T>>, T>(value: Option<T>) -> String {
    shown(&[value].into_iter().collect::<A>()).remove(0)
}

fn show_decimal(value: Option<i128>, scale: i8) -> String {
    let array: Decimal128Array = [value].into_iter().collect();
    shown(&array.with_precision_and_scale(38, scale).unwrap()).remove(0)
}

/// `sum · 10^4 / count`, half away from zero: the average with six digits.
fn average(values: &[i128]) -> Option<i128> {
    let sum = values.iter().sum::<i128>() * 10_000;
    let count = values.len() as i128;
    (count > 0).then(|| (sum.abs() * 2 + count) / (count * 2) * sum.signum())
}

/// What [`aggregates`] must give over the rows of one key and window.
fn expected(rows: &[&Row]) -> Vec<String> {
    let flagged: Vec<&Row> = rows.iter().copied().filter(|r| r.flag == Some(true)).collect();
    let ints: Vec<i32> = rows.iter().filter_map(|r| r.int).collect();
    let floats: Vec<f64> = rows.iter().filter_map(|r| r.float).collect();
    let decimals: Vec<i128> = rows.iter().filter_map(|r| r.decimal).collect();
    let bigs: Vec<i64> = flagged.iter().filter_map(|r| r.int.map(big)).collect();
    let texts: BTreeSet<&String> = rows.iter().filter_map(|r| r.text.as_ref()).collect();
    let distinct_ints: BTreeSet<i32> = flagged.iter().filter_map(|r| r.int).collect();
    let distinct_floats: BTreeSet<u64> =
        floats.iter().map(|&f| weir_state::canonical::float64_bits(f)).collect();
    let distinct_decimals: BTreeSet<i128> = decimals.iter().copied().collect();
    let some = |empty: bool| (!empty).then_some(());
    let wrapping = |values: &[i32]| values.iter().fold(0_i32, |a, v| a.wrapping_add(*v));
    // One zero, and NaN above everything.
    let order = |a: &f64, b: &f64| (a + 0.0).total_cmp(&(b + 0.0));
    let sum = some(floats.is_empty()).map(|()| floats.iter().fold(0.0, |a, v| a + v));
    let average_int = || ints.iter().map(|&v| i64::from(v)).sum::<i64>() / ints.len() as i64;
    vec![
        rows.len().to_string(),
        ints.len().to_string(),
        flagged.len().to_string(),
        show::<Int32Array, _>(some(ints.is_empty()).map(|()| wrapping(&ints))),
        show::<Int64Array, _>(
            some(bigs.is_empty()).map(|()| bigs.iter().fold(0_i64, |a, v| a.wrapping_add(*v))),
        ),
        show::<Float64Array, _>(sum),
        show_decimal(some(decimals.is_empty()).map(|()| decimals.iter().sum()), 2),
        show::<Int32Array, _>(some(ints.is_empty()).map(|()| average_int() as i32)),
        show_decimal(average(&decimals), 6),
        show::<Float64Array, _>(floats.iter().copied().min_by(order).map(|v| v + 0.0)),
        show::<Float32Array, _>(floats.iter().copied().max_by(order).map(|v| (v + 0.0) as f32)),
        show::<StringArray, _>(texts.first().copied()),
        show::<StringArray, _>(flagged.iter().filter_map(|r| r.text.as_ref()).max()),
        show_decimal(decimals.iter().copied().max(), 2),
        show::<Date32Array, _>(ints.iter().copied().min()),
        texts.len().to_string(),
        show::<Int32Array, _>(
            some(distinct_ints.is_empty())
                .map(|()| distinct_ints.iter().fold(0_i32, |a, v| a.wrapping_add(*v))),
        ),
        distinct_floats.len().to_string(),
        show_decimal(average(&distinct_decimals.into_iter().collect::<Vec<_>>()), 6),
    ]
}

/// The key columns' values of a row, as the result shows them.
fn key_of(row: &Row, keys: &[usize]) -> Vec<String> {
    let records = records(std::slice::from_ref(row));
    let normal = |text: String| {
        if text == "-0.0" { "0.0".to_owned() } else { text }
    };
    keys.iter().map(|&k| normal(shown(records.column(k)).remove(0))).collect()
}

fn windows_of(window: Window, ts: i64) -> Vec<(i64, i64)> {
    let (size, slide, offset) = match window {
        Window::Tumble { size, offset } => (size, size, offset),
        Window::Hop { size, slide, offset } => (size, slide, offset),
    };
    let first = (ts - size - offset).div_euclid(slide);
    (first..)
        .map(|n| n * slide + offset)
        .skip_while(|start| start + size <= ts)
        .take_while(|&start| start <= ts)
        .map(|start| (start, start + size))
        .collect()
}

#[derive(Clone, Debug)]
enum Event {
    Data(usize, Vec<Row>),
    Watermark(usize, i64),
    Tick(usize),
    Barrier {
        full: bool,
    },
    /// The tasks die; they come back with this parallelism from the last barrier.
    Kill(u32),
}

fn context(subtask: u32, parallelism: u32, io: &tokio::runtime::Runtime) -> Context {
    Context {
        uid: OperatorUid::from("window"),
        name: "window".into(),
        subtask: Subtask(subtask),
        parallelism,
        max_parallelism: GROUPS,
        key_groups: KeyGroupRange::of_subtask(Subtask(subtask), parallelism, GROUPS),
        term: Term(1),
        clock: Clock::manual(0),
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

type Task = (Context, Box<dyn Operator>);

/// Runs an operator's call to its end and gives what it put out.
fn drive(
    task: &mut Task,
    call: impl FnOnce(&mut Context, &mut dyn Operator, &mut Output) -> Progress,
) -> Vec<(OutputTag, Batch)> {
    let (cx, operator) = task;
    let mut out = Output::default();
    let mut progress = call(cx, operator.as_mut(), &mut out);
    let mut all = out.take();
    while progress == Progress::More {
        progress = operator.resume(cx, &mut out).unwrap();
        all.extend(out.take());
    }
    all
}

#[derive(Clone, Default)]
struct Checkpoint {
    next_event: usize,
    segments: Vec<Segment>,
    watermarks: Vec<i64>,
    rows_out: usize,
    late: u64,
}

/// How much the halves do per call and keep; small ones make every path be taken.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    rows: usize,
    span_slices: i64,
    limits: Limits,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { rows: 8192, span_slices: 100, limits: Limits::default() }
    }
}

struct Run {
    spec: WindowAggregate,
    plan: Arc<Plan>,
    tuning: Tuning,
    io: tokio::runtime::Runtime,
    locals: Vec<Task>,
    globals: Vec<Task>,
    /// Of each local subtask's split.
    watermarks: Vec<i64>,
    results: Vec<Vec<String>>,
    late: u64,
    checkpoint: Checkpoint,
}

impl Run {
    fn new(spec: WindowAggregate, sources: usize, parallelism: u32, tuning: Tuning) -> Self {
        let plan = Arc::new(Plan {
            rows: tuning.rows,
            span_slices: tuning.span_slices,
            ..Plan::new(&spec).unwrap()
        });
        let checkpoint =
            Checkpoint { watermarks: vec![i64::MIN; sources], ..Checkpoint::default() };
        let io = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut run = Self {
            spec,
            plan,
            tuning,
            io,
            locals: Vec::new(),
            globals: Vec::new(),
            watermarks: Vec::new(),
            results: Vec::new(),
            late: 0,
            checkpoint,
        };
        run.start(parallelism);
        run
    }

    fn start(&mut self, parallelism: u32) {
        let Checkpoint { segments, watermarks, rows_out, late, .. } = self.checkpoint.clone();
        self.results.truncate(rows_out);
        self.late = late;
        let sources = watermarks.len() as u32;
        let before = || Box::new(Local::new(Arc::clone(&self.plan), self.tuning.limits));
        let behind = || Box::new(Global::new(Arc::clone(&self.plan)));
        self.locals = (0..sources)
            .map(|s| (context(s, sources, &self.io), before() as Box<dyn Operator>))
            .collect();
        self.globals = (0..parallelism)
            .map(|s| (context(s, parallelism, &self.io), behind() as Box<dyn Operator>))
            .collect();
        let merged = *watermarks.iter().min().unwrap();
        self.watermarks = watermarks;
        if self.checkpoint.next_event > 0 {
            for (cx, operator) in &mut self.globals {
                let state = Restored {
                    segments: segments.clone(),
                    items: Vec::new(),
                    watermark: Some(Watermark(merged)),
                };
                operator.restore(cx, state).unwrap();
            }
        }
    }

    fn exchange(&mut self, batches: Vec<(OutputTag, Batch)>) {
        for (tag, batch) in batches {
            if tag == OutputTag::Late {
                assert_eq!(batch.records().schema(), self.spec.input);
                self.late += batch.num_rows() as u64;
                continue;
            }
            assert_eq!(batch.records().schema(), intermediate_schema(&self.spec).unwrap());
            let columns: Vec<ArrayRef> = exchange_columns(&self.spec)
                .into_iter()
                .map(|c| Arc::clone(batch.records().column(c)))
                .collect();
            let hashes = batch.hashes().unwrap().clone();
            assert_eq!(hashes, hash_columns(&columns, batch.num_rows()));
            let parallelism = self.globals.len() as u32;
            for (s, task) in self.globals.iter_mut().enumerate() {
                let mine = |&row: &u32| {
                    let group = KeyGroup::of_hash(hashes.value(row as usize), GROUPS);
                    group.owner(parallelism, GROUPS) == Subtask(s as u32)
                };
                let rows: Vec<u32> = (0..batch.num_rows() as u32).filter(mine).collect();
                let part = batch.take(&rows.into()).unwrap();
                let out = drive(task, |cx, op, out| op.on_batch(cx, 0, part, out).unwrap());
                assert!(out.is_empty());
            }
        }
    }

    fn collect(&mut self, batches: Vec<(OutputTag, Batch)>) {
        for (tag, batch) in batches {
            assert_eq!(tag, OutputTag::Main);
            assert!(batch.num_rows() <= self.tuning.rows);
            assert_eq!(batch.records().schema(), output_schema(&self.spec).unwrap());
            let columns: Vec<Vec<String>> =
                batch.records().columns().iter().map(|c| shown(c)).collect();
            for row in 0..batch.num_rows() {
                self.results.push(columns.iter().map(|c| c[row].clone()).collect());
            }
        }
    }

    fn data(&mut self, source: usize, rows: &[Row]) {
        let watermark = self.watermarks[source];
        let behind: Int64Array =
            rows.iter().map(|r| (r.ts < watermark).then_some(watermark)).collect();
        let batch = Batch::new(records(rows)).with_behind(Some(behind));
        let out =
            drive(&mut self.locals[source], |cx, op, out| op.on_batch(cx, 0, batch, out).unwrap());
        self.exchange(out);
    }

    fn watermark(&mut self, source: usize, mark: i64) {
        if mark <= self.watermarks[source] {
            return;
        }
        let before = *self.watermarks.iter().min().unwrap();
        self.watermarks[source] = mark;
        let out = drive(&mut self.locals[source], |cx, op, out| {
            op.on_watermark(cx, Watermark(mark), out).unwrap()
        });
        self.exchange(out);
        let merged = *self.watermarks.iter().min().unwrap();
        if merged > before {
            for s in 0..self.globals.len() {
                let out = drive(&mut self.globals[s], |cx, op, out| {
                    op.on_watermark(cx, Watermark(merged), out).unwrap()
                });
                self.collect(out);
            }
        }
    }

    /// Whatever the local halves hold leaves.
    fn exchange_all(&mut self) {
        for source in 0..self.locals.len() {
            let out =
                drive(&mut self.locals[source], |cx, op, out| op.before_barrier(cx, out).unwrap());
            self.exchange(out);
        }
    }

    fn barrier(&mut self, next_event: usize, full: bool) {
        let request = SnapshotRequest { attempt: Attempt(1), full, last: false };
        self.exchange_all();
        for (cx, operator) in &mut self.locals {
            assert!(operator.on_barrier(cx, request).unwrap().keyed.is_none());
        }
        for (cx, operator) in &mut self.globals {
            let frozen = operator.on_barrier(cx, request).unwrap().keyed.unwrap();
            self.checkpoint.segments.extend(frozen.encode().unwrap());
        }
        self.checkpoint.next_event = next_event;
        self.checkpoint.watermarks.clone_from(&self.watermarks);
        self.checkpoint.rows_out = self.results.len();
        self.checkpoint.late = self.late;
    }

    fn run(mut self, events: &[Event]) -> (Vec<Vec<String>>, u64) {
        let mut killed = BTreeSet::new();
        let mut at = 0;
        while let Some(event) = events.get(at) {
            at += 1;
            match event {
                Event::Data(source, rows) => self.data(*source, rows),
                Event::Watermark(source, mark) => self.watermark(*source, *mark),
                Event::Tick(source) => {
                    let out = drive(&mut self.locals[*source], |cx, op, out| {
                        op.on_tick(cx, out).unwrap();
                        Progress::Done
                    });
                    self.exchange(out);
                }
                Event::Barrier { full } => self.barrier(at, *full),
                Event::Kill(parallelism) => {
                    if killed.insert(at) {
                        at = self.checkpoint.next_event;
                        self.start(*parallelism);
                    }
                }
            }
        }
        for source in 0..self.locals.len() {
            self.watermark(source, i64::MAX);
        }
        for (cx, operator) in &mut self.globals {
            assert_eq!(operator.state_bytes(), 0);
            let request = SnapshotRequest { attempt: Attempt(2), full: true, last: true };
            let frozen = operator.on_barrier(cx, request).unwrap().keyed.unwrap();
            assert!(frozen.encode().unwrap()[0].blocks.is_empty());
            assert_eq!(cx.metrics.late.load(Ordering::Relaxed), 0);
        }
        self.results.sort();
        (self.results, self.late)
    }
}

/// What must come out, whatever the batches, barriers and kills: the rows decide.
fn model(spec: &WindowAggregate, sources: usize, events: &[Event]) -> (Vec<Vec<String>>, u64) {
    let mut watermarks = vec![i64::MIN; sources];
    let mut cells: BTreeMap<(Vec<String>, i64, i64), Vec<&Row>> = BTreeMap::new();
    let mut late = 0;
    for event in events {
        match event {
            Event::Watermark(source, mark) => {
                watermarks[*source] = watermarks[*source].max(*mark);
            }
            Event::Data(source, rows) => {
                for row in rows {
                    let mark = watermarks[*source];
                    let all = windows_of(spec.window, row.ts);
                    let open: Vec<_> =
                        all.into_iter().filter(|w| row.ts >= mark || w.1 > mark).collect();
                    late += u64::from(open.is_empty());
                    for (start, end) in open {
                        cells.entry((key_of(row, &spec.keys), start, end)).or_default().push(row);
                    }
                }
            }
            _ => {}
        }
    }
    let mut results: Vec<Vec<String>> = cells
        .into_iter()
        .map(|((mut columns, start, end), rows)| {
            columns.extend(expected(&rows));
            let time = |ms| show::<TimestampMillisecondArray, _>(Some(ms));
            columns.extend([time(start), time(end), time(end - 1)]);
            columns
        })
        .collect();
    results.sort();
    (results, late)
}

fn spec(window: Window, keys: &[&str]) -> WindowAggregate {
    let input = schema();
    WindowAggregate {
        time: 0,
        window,
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        aggregates: aggregates(),
        input,
    }
}

fn check(window: Window, keys: &[&str], events: &[Event], tuning: Tuning) {
    let spec = spec(window, keys);
    let (results, late) = Run::new(spec.clone(), 2, 2, tuning).run(events);
    let (wanted, wanted_late) = model(&spec, 2, events);
    assert_eq!(results, wanted);
    assert_eq!(late, wanted_late);
}

fn any_row() -> impl Strategy<Value = Row> {
    let key = prop::option::weighted(0.9, -3_i64..4);
    let float = prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        (-4_i32..4).prop_map(|v| f64::from(v) / 2.0)
    ];
    let int = prop_oneof![4 => -9_i32..10, 1 => Just(i32::MAX), 1 => Just(i32::MIN)];
    (
        -50_i64..80,
        key,
        prop::option::of(int),
        prop::option::of(float),
        prop::option::of("[a-c]{0,2}|a long text that no view holds by itself [x-z]"),
        prop::option::of(-1000_i128..1000),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(ts, k, int, float, text, decimal, flag)| Row {
            ts,
            k,
            int,
            float,
            text,
            decimal,
            flag,
        })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_usize..2, prop::collection::vec(any_row(), 1..12)).prop_map(|(s, r)| Event::Data(s, r)),
        3 => (0_usize..2, -60_i64..100).prop_map(|(s, w)| Event::Watermark(s, w)),
        1 => (0_usize..2).prop_map(Event::Tick),
        2 => prop::bool::weighted(0.3).prop_map(|full| Event::Barrier { full }),
        1 => (1_u32..4).prop_map(Event::Kill),
    ]
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1_i64..40, -5_i64..5).prop_map(|(size, offset)| Window::Tumble { size, offset }),
        (1_i64..12, 1_i64..20, -7_i64..7).prop_map(|(slide, n, offset)| Window::Hop {
            size: slide * n,
            slide,
            offset
        }),
    ]
}

fn any_tuning() -> impl Strategy<Value = Tuning> {
    let limits = (prop_oneof![Just(0_usize), Just(1 << 20)], 1_usize..30, 1_usize..30)
        .prop_map(|(memory, sample, bypass)| Limits { memory, sample, bypass });
    prop_oneof![
        Just(Tuning::default()),
        (1_usize..4, 2_i64..20, limits).prop_map(|(rows, span_slices, limits)| Tuning {
            rows,
            span_slices,
            limits
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_depend_on_the_rows_alone(
        window in any_window(),
        keys in prop::sample::select(vec![
            vec!["k"], vec!["text"], vec!["float"], vec!["text", "int"], vec!["flag", "k"], vec![],
        ]),
        events in prop::collection::vec(any_event(), 1..40),
        tuning in any_tuning(),
    ) {
        check(window, &keys, &events, tuning);
    }
}

const MINUTE: Window = Window::Tumble { size: 60, offset: 0 };

fn row(ts: i64, k: i64) -> Row {
    let (int, float) = (Some(k as i32), Some(k as f64));
    Row { ts, k: Some(k), int, float, text: Some(k.to_string()), decimal: None, flag: Some(true) }
}

fn snapshot(task: &mut Task, full: bool) -> Vec<Segment> {
    let request = SnapshotRequest { attempt: Attempt(1), full, last: false };
    task.1.on_barrier(&mut task.0, request).unwrap().keyed.unwrap().encode().unwrap()
}

#[test]
fn a_late_row_is_counted_once_and_goes_to_the_late_output() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    run.watermark(0, 60);
    run.data(0, &[row(59, 1), row(60, 1)]);
    assert_eq!(run.late, 1);
    assert_eq!(run.locals[0].0.metrics.late.load(Ordering::Relaxed), 1);
    assert_eq!(run.results.len(), 1);
}

#[test]
fn a_row_ahead_of_its_own_split_is_not_late_behind_faster_ones() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 2, 1, Tuning::default());
    run.watermark(0, 600);
    run.data(1, &[row(10, 1)]);
    run.watermark(1, 600);
    assert_eq!((run.results.len(), run.late), (1, 0));
}

#[test]
fn a_split_that_was_idle_counts_in_the_windows_that_are_left() {
    let hop = Window::Hop { size: 120, slide: 60, offset: 0 };
    let mut run = Run::new(spec(hop, &["k"]), 1, 1, Tuning::default());
    // The merged watermark went on without it.
    let mark = |run: &mut Run, ms| {
        let out = drive(&mut run.globals[0], |cx, op, out| {
            op.on_watermark(cx, Watermark(ms), out).unwrap()
        });
        run.collect(out);
    };
    mark(&mut run, 60);
    run.data(0, &[row(30, 1), row(-30, 1)]);
    run.barrier(1, false);
    mark(&mut run, 200);
    let ends: Vec<&String> = run.results.iter().map(|r| &r[r.len() - 2]).collect();
    assert_eq!(ends, ["1970-01-01T00:00:00.120"]);
    assert_eq!(run.globals[0].0.metrics.late.load(Ordering::Relaxed), 1);
}

#[test]
fn nothing_changed_is_an_empty_delta() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
    run.data(0, &[row(10, 1)]);
    run.barrier(1, false);
    assert_eq!(run.checkpoint.segments[0].blocks.len(), 1);
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
    assert_eq!(snapshot(&mut run.globals[0], true)[0].blocks.len(), 1);
    run.watermark(0, 60);
    let gone = snapshot(&mut run.globals[0], false);
    assert_eq!(gone[0].blocks.len(), 1);
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
}

#[test]
fn a_delta_holds_only_the_groups_that_changed() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &(0..500).map(|k| row(10, k)).collect::<Vec<_>>());
    run.barrier(1, false);
    run.data(0, &[row(11, 7)]);
    run.barrier(2, false);
    let sizes: Vec<usize> = run.checkpoint.segments.iter().map(|s| s.bytes.len()).collect();
    assert!(sizes[1] * 50 < sizes[0], "{sizes:?}");
}

#[test]
fn what_is_frozen_stays_as_it_was_while_processing_goes_on() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1), row(10, 2)]);
    run.exchange_all();
    let (cx, operator) = &mut run.globals[0];
    let request = SnapshotRequest { attempt: Attempt(1), full: false, last: false };
    let frozen = operator.on_barrier(cx, request).unwrap().keyed.unwrap();
    run.data(0, &[row(11, 1), row(11, 3)]);
    run.exchange_all();
    run.watermark(0, 60);
    run.checkpoint.segments = frozen.encode().unwrap();
    run.checkpoint.next_event = 1;
    run.start(3);
    run.watermark(0, 60);
    run.results.sort();
    let counts: Vec<&[String]> = run.results.iter().map(|r| &r[..2]).collect();
    assert_eq!(counts, [["1", "1"], ["2", "1"]]);
}

#[test]
fn applying_a_delta_twice_changes_nothing() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 2, Tuning::default());
    run.data(0, &[row(10, 1), row(10, 2)]);
    run.barrier(1, false);
    run.data(0, &[row(12, 2)]);
    run.barrier(2, false);
    let twice = run.checkpoint.segments[2..].to_vec();
    run.checkpoint.segments.extend(twice);
    run.start(1);
    run.watermark(0, 60);
    run.results.sort();
    let counts: Vec<&[String]> = run.results.iter().map(|r| &r[..2]).collect();
    assert_eq!(counts, [["1", "1"], ["2", "2"]]);
}

#[test]
fn many_groups_leave_in_bounded_batches() {
    let rows: Vec<Row> = (0..20_000).map(|n| row(n % 120, n % 9_000)).collect();
    let mut events: Vec<Event> =
        rows.chunks(3_000).map(|rows| Event::Data(0, rows.to_vec())).collect();
    events.insert(3, Event::Barrier { full: false });
    events.insert(5, Event::Barrier { full: false });
    events.insert(6, Event::Kill(3));
    check(MINUTE, &["k"], &events, Tuning::default());
}

#[test]
fn a_row_without_event_time_is_refused() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    let mut columns = records(&[row(1, 1)]).columns().to_vec();
    columns[0] = Arc::new(TimestampMillisecondArray::from(vec![None]));
    let batch = Batch::new(RecordBatch::try_new(schema(), columns).unwrap());
    let (cx, operator) = &mut run.locals[0];
    let error = operator.on_batch(cx, 0, batch, &mut Output::default()).unwrap_err();
    assert!(error.message.contains("no event time"), "{error}");
}

#[test]
fn state_of_other_aggregates_is_refused() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    run.barrier(1, false);
    let mut other = spec(MINUTE, &["k"]);
    other.aggregates.pop();
    let mut global = Global::new(Arc::new(Plan::new(&other).unwrap()));
    let segments = run.checkpoint.segments.clone();
    let state = Restored { segments, ..Restored::default() };
    let error = global.restore(&mut context(0, 1, &run.io), state).unwrap_err();
    assert!(error.message.contains("other keys or aggregates"), "{error}");
}

#[test]
fn the_local_half_lets_go_when_its_input_falls_silent() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    for _ in 0..2 {
        let out = drive(&mut run.locals[0], |cx, op, out| {
            op.on_tick(cx, out).unwrap();
            Progress::Done
        });
        run.exchange(out);
    }
    assert_eq!(run.locals[0].1.state_bytes(), 0);
    assert!(run.globals[0].1.state_bytes() > 0);
}

#[test]
fn sums_of_more_than_38_digits_are_null_and_integers_wrap() {
    let mut spec = spec(MINUTE, &["k"]);
    spec.aggregates = vec![
        call("sum", Function::Sum, Some("decimal"), false, false, DataType::Decimal128(38, 2)),
        call("int", Function::Sum, Some("int"), false, false, DataType::Int32),
    ];
    let mut run = Run::new(spec, 1, 1, Tuning::default());
    let large = |k| Row { decimal: Some(10_i128.pow(38) - 1), int: Some(i32::MAX), ..row(1, k) };
    run.data(0, &[large(1), large(1), large(2)]);
    run.watermark(0, 60);
    run.results.sort();
    let sums: Vec<&[String]> = run.results.iter().map(|r| &r[1..3]).collect();
    let all_nines = format!("{}.99", "9".repeat(36));
    assert_eq!(sums, [["NULL", "-2"], [all_nines.as_str(), "2147483647"]]);
}

/// Stored windows of version 1 must be readable for ever: these bytes may not change.
#[test]
fn the_stored_form_of_version_1_never_changes() {
    let mut spec = spec(MINUTE, &["k"]);
    let wanted = ["count", "sum_int", "min_text", "distinct_text"];
    spec.aggregates.retain(|call| wanted.contains(&call.name.as_str()));
    let mut run = Run::new(spec, 1, 1, Tuning::default());
    run.data(0, &[row(10, 1), row(20, 1)]);
    run.barrier(1, false);
    let segment = &run.checkpoint.segments[0];
    let bytes: String = segment.bytes.iter().map(|b| format!("{b:02x}")).collect();
    expect_test::expect!["1 fd0831397f607ed1450000003c000000000000003c000000000000000001000000000100000000000000000200000000000000000200000000000000000100000031000100000001000000000100000031"].assert_eq(&format!("{} {}", segment.schema, bytes));
}
