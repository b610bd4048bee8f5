//! Both halves of the operator, with barriers, kills and other parallelisms.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::*;
use weir_protocol::{Attempt, Counter, KeyGroup, KeyGroupRange, OperatorUid, Subtask, Term};
use weir_state::hash::hash_columns;
use weir_state::segment::Segment;

use crate::env::Clock;
use crate::operator::{OperatorMetrics, OutputTag, Restored, SnapshotRequest, Waker};
use crate::operators::window::global::Global;
use crate::operators::window::local::{Limits, Local};
use crate::operators::window::plan::Plan;
use crate::operators::window::spec::WindowAggregate;
use crate::operators::window::{exchange_columns, intermediate_schema, output_schema};
use crate::{Batch, Context, Operator, Output, Progress, Watermark};

use super::definition::*;

#[derive(Clone, Debug)]
pub(super) enum Event {
    Data(usize, Vec<Row>),
    Watermark(usize, i64),
    Tick(usize),
    Barrier {
        full: bool,
    },
    /// The tasks die; they come back with this parallelism from the last barrier.
    Kill(u32),
}

pub(super) fn context(subtask: u32, parallelism: u32, io: &tokio::runtime::Runtime) -> Context {
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

pub(super) type Task = (Context, Box<dyn Operator>);

/// Runs an operator's call to its end and gives what it put out.
pub(super) fn drive(
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
pub(super) struct Checkpoint {
    pub(super) next_event: usize,
    pub(super) segments: Vec<Segment>,
    pub(super) watermarks: Vec<i64>,
    /// Of each global subtask, where they differ.
    pub(super) marks: Vec<i64>,
    pub(super) rows_out: usize,
    pub(super) late: u64,
}

/// How much the halves do per call and keep; small ones make every path be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) rows: usize,
    pub(super) span_slices: i64,
    pub(super) limits: Limits,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { rows: 8192, span_slices: 100, limits: Limits::default() }
    }
}

pub(super) struct Run {
    pub(super) spec: WindowAggregate,
    pub(super) plan: Arc<Plan>,
    pub(super) tuning: Tuning,
    pub(super) io: tokio::runtime::Runtime,
    pub(super) locals: Vec<Task>,
    pub(super) globals: Vec<Task>,
    /// Of each local subtask's split.
    pub(super) watermarks: Vec<i64>,
    pub(super) results: Vec<Vec<String>>,
    pub(super) late: u64,
    pub(super) checkpoint: Checkpoint,
}

impl Run {
    pub(super) fn new(
        spec: WindowAggregate,
        sources: usize,
        parallelism: u32,
        tuning: Tuning,
    ) -> Self {
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

    pub(super) fn start(&mut self, parallelism: u32) {
        let Checkpoint { segments, watermarks, marks, rows_out, late, .. } =
            self.checkpoint.clone();
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
                let before = marks.len() as u32;
                let of = |s| KeyGroupRange::of_subtask(Subtask(s), before, GROUPS);
                let ahead = (0..before).map(of).zip(marks.iter().copied().map(Watermark));
                let state = Restored {
                    segments: segments.clone(),
                    watermark: Some(Watermark(marks.iter().copied().min().unwrap_or(merged))),
                    ahead: ahead.collect(),
                    ..Restored::default()
                };
                operator.restore(cx, state).unwrap();
            }
        }
    }

    pub(super) fn exchange(&mut self, batches: Vec<(OutputTag, Batch)>) {
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

    pub(super) fn collect(&mut self, batches: Vec<(OutputTag, Batch)>) {
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

    pub(super) fn data(&mut self, source: usize, rows: &[Row]) {
        let watermark = self.watermarks[source];
        let behind: Int64Array =
            rows.iter().map(|r| (r.ts < watermark).then_some(watermark)).collect();
        let batch = Batch::new(records(rows)).with_behind(Some(behind));
        let out =
            drive(&mut self.locals[source], |cx, op, out| op.on_batch(cx, 0, batch, out).unwrap());
        self.exchange(out);
    }

    pub(super) fn watermark(&mut self, source: usize, mark: i64) {
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
    pub(super) fn exchange_all(&mut self) {
        for source in 0..self.locals.len() {
            let out = drive(&mut self.locals[source], |cx, op, out| op.flush(cx, out).unwrap());
            self.exchange(out);
        }
    }

    pub(super) fn barrier(&mut self, next_event: usize, full: bool) {
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

    pub(super) fn run(mut self, events: &[Event]) -> (Vec<Vec<String>>, u64) {
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
            assert_eq!(cx.metrics.get(Counter::Late), 0);
        }
        self.results.sort();
        (self.results, self.late)
    }
}
