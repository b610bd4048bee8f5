//! The operator against a naive model: versions by definition, for rows in any order that are not
//! late.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use arrow::datatypes::{
    DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use proptest::prelude::*;

use super::operator::TemporalJoin;
use crate::operators::join::spec::{Condition, TemporalJoin as Spec, TimedInput};
use crate::operators::testing::{GROUPS, StoredTables, kind, trim};
use crate::{Batch, Operator, Progress, RowKind, Watermark};

/// `k`, `ts`, `n` of either side.
type Row = (Option<i64>, i64, Option<i32>);

/// A left row, and the version that it met.
type Pair = (Row, Option<Row>);

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("ts", time, true),
        Field::new("n", DataType::Int32, true),
    ]))
}

fn records(rows: &[Row]) -> RecordBatch {
    let k = Int64Array::from_iter(rows.iter().map(|r| r.0));
    let ts = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.1));
    let n = Int32Array::from_iter(rows.iter().map(|r| r.2));
    let columns = vec![Arc::new(k) as _, Arc::new(ts) as _, Arc::new(n) as _];
    RecordBatch::try_new(schema(), columns).unwrap()
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    outer: bool,
    conditioned: bool,
}

impl Wanted {
    fn spec(self) -> Spec {
        let input = || TimedInput { schema: schema(), keys: vec![0], time: 1, shift: 0 };
        let condition = Condition {
            columns: vec![2, 5],
            test: Arc::new(|pairs| {
                let n = |c: usize| pairs.column(c).as_primitive::<Int32Type>().iter();
                Ok(BooleanArray::from_iter(n(0).zip(n(1)).map(|(a, b)| Some(a? <= b?))))
            }),
        };
        Spec {
            outer: self.outer,
            left: input(),
            right: input(),
            condition: self.conditioned.then_some(condition),
            ttl: None,
        }
    }
}

/// A version that came: the row, and whether it is there from then on.
type Version = (Row, bool);

/// The version of a key at a time.
fn version(versions: &[Version], row: &Row, conditioned: bool) -> Option<Row> {
    let of = |v: &&Version| row.0.is_some() && v.0.0 == row.0 && v.0.1 <= row.1;
    let at = versions.iter().filter(of).map(|v| v.0.1).max()?;
    // Of one time the last counts.
    let (found, there) = versions.iter().rfind(|v| v.0.0 == row.0 && v.0.1 == at)?;
    let holds = !conditioned || row.2.zip(found.2).is_some_and(|(a, b)| a <= b);
    (*there && holds).then_some(*found)
}

#[derive(Clone, Debug)]
enum Event {
    /// Rows, so much later than the watermark.
    Left(Vec<Row>),
    /// Versions, each with its kind.
    Right(Vec<(Row, RowKind)>),
    /// The watermark advances by so much.
    Pass(i64),
    Checkpoint,
    Trim(usize),
    Restore(bool),
}

struct Run {
    wanted: Wanted,
    operator: TemporalJoin,
    segments: StoredTables,
    left: Vec<Row>,
    versions: Vec<Version>,
    given: BTreeMap<Pair, usize>,
    mark: i64,
}

impl Run {
    fn new(wanted: Wanted) -> Self {
        let mut operator = TemporalJoin::new(&wanted.spec(), GROUPS).unwrap();
        let segments = StoredTables::of(&mut operator);
        let (left, versions, given) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { wanted, operator, segments, left, versions, given, mark: -1_000 }
    }

    fn collect(&mut self, batch: &Batch) {
        assert!(batch.kinds().is_none());
        for row in 0..batch.num_rows() {
            let side = |first: usize| {
                let column = |c: usize| batch.records().column(first + c);
                let k = column(0).as_primitive::<Int64Type>();
                let ts = column(1).as_primitive::<TimestampMillisecondType>();
                let n = column(2).as_primitive::<Int32Type>();
                ts.is_valid(row).then(|| {
                    let k = k.is_valid(row).then(|| k.value(row));
                    (k, ts.value(row), n.is_valid(row).then(|| n.value(row)))
                })
            };
            let pair = (side(0).expect("a left row"), side(3));
            *self.given.entry(pair).or_insert(0) += 1;
        }
    }

    fn wait(&mut self, rows: &[Row]) {
        let batch = Batch::new(records(rows));
        let keys = self.operator.keys_of(0, &batch).unwrap();
        self.segments.read(&mut self.operator, keys);
        let given = self.operator.wait(&batch).unwrap();
        given.iter().for_each(|batch| self.collect(batch));
    }

    fn follow(&mut self, rows: &[(Row, RowKind)]) {
        let kinds: Vec<RowKind> = rows.iter().map(|(_, kind)| *kind).collect();
        let all: Vec<Row> = rows.iter().map(|(row, _)| *row).collect();
        let batch = Batch::new(records(&all)).with_kinds(Some(kinds.into()));
        let keys = self.operator.keys_of(1, &batch).unwrap();
        self.segments.read(&mut self.operator, keys);
        self.operator.follow(&batch).unwrap();
    }

    /// Gives the number of steps.
    fn pass(&mut self, mark: i64) -> usize {
        self.mark = mark;
        self.operator.pass(Watermark(mark));
        let mut steps = 0;
        while self.operator.progress() == Progress::More {
            let keys = self.operator.keys_to_resume().unwrap();
            self.segments.read(&mut self.operator, keys);
            let given = self.operator.step().unwrap();
            given.iter().for_each(|batch| self.collect(batch));
            steps += 1;
        }
        steps
    }

    /// What must have been given.
    fn joined(&self) -> BTreeMap<Pair, usize> {
        let mut pairs = BTreeMap::new();
        for row in self.left.iter().filter(|row| row.0.is_none() || row.1 < self.mark) {
            let version = version(&self.versions, row, self.wanted.conditioned);
            if self.wanted.outer || version.is_some() {
                *pairs.entry((*row, version)).or_insert(0) += 1;
            }
        }
        pairs
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Left(rows) => {
                let rows: Vec<Row> =
                    rows.into_iter().map(|(k, later, n)| (k, self.mark + later, n)).collect();
                self.left.extend(&rows);
                self.wait(&rows);
            }
            Event::Right(rows) => {
                let at = |((k, later, n), kind)| ((k, self.mark + later, n), kind);
                let rows: Vec<(Row, RowKind)> = rows.into_iter().map(at).collect();
                for (row, kind) in &rows {
                    if *kind != RowKind::UpdateBefore {
                        self.versions.push((*row, *kind != RowKind::Delete));
                    }
                }
                self.follow(&rows);
            }
            Event::Pass(by) => {
                self.pass(self.mark + by);
            }
            Event::Checkpoint => self.segments.checkpoint(&mut self.operator),
            Event::Trim(want) => trim(&mut self.operator, want),
            Event::Restore(whole) => {
                self.segments.checkpoint(&mut self.operator);
                self.operator = TemporalJoin::new(&self.wanted.spec(), GROUPS).unwrap();
                self.segments.restore(&mut self.operator, whole);
            }
        }
        assert_eq!(self.given, self.joined(), "{:?} at {}", self.wanted, self.mark);
    }

    fn kept(&self) -> [usize; 2] {
        self.operator.kept()
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let n = || prop::option::weighted(0.9, 0_i32..3);
    let left = (prop::option::weighted(0.9, 0_i64..3), 0_i64..30, n());
    let right = (prop::option::weighted(0.95, 0_i64..3), 0_i64..30, n());
    let kinds = (prop::bool::weighted(0.7), any::<bool>()).prop_map(|(a, b)| kind(a, b));
    prop_oneof![
        5 => prop::collection::vec(left, 1..8).prop_map(Event::Left),
        5 => prop::collection::vec((right, kinds), 1..8).prop_map(Event::Right),
        4 => (0_i64..20).prop_map(Event::Pass),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(Event::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 2_500,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_meet_the_version_of_their_time(
        outer in any::<bool>(),
        conditioned in any::<bool>(),
        events in prop::collection::vec(any_event(), 1..30),
    ) {
        let mut run = Run::new(Wanted { outer, conditioned });
        events.into_iter().for_each(|event| run.on(event));
        run.pass(i64::MAX);
        assert_eq!(run.given, run.joined(), "{:?}", run.wanted);
        let [waiting, versions] = run.kept();
        assert_eq!(waiting, 0);
        // Of each key the last version, unless that ends.
        let mut last: BTreeMap<i64, (i64, bool)> = BTreeMap::new();
        for ((k, time, _), there) in &run.versions {
            let Some(k) = k else { continue };
            let known = last.entry(*k).or_insert((*time, *there));
            if *time >= known.0 {
                *known = (*time, *there);
            }
        }
        // Some may be in segments alone.
        assert!(versions <= last.values().filter(|(_, there)| *there).count());
    }
}

fn outer() -> Run {
    Run::new(Wanted { outer: true, conditioned: false })
}

fn put(k: i64, time: i64, n: i32) -> (Row, RowKind) {
    ((Some(k), time, Some(n)), RowKind::Insert)
}

#[test]
fn a_late_row_meets_what_is_still_there() {
    let mut run = outer();
    run.follow(&[put(1, 100, 1), put(1, 200, 2), put(2, 100, 3)]);
    run.pass(250);
    let late: [Row; 2] = [(Some(1), 150, None), (Some(2), 150, None)];
    run.wait(&late);
    run.pass(251);
    let met: Vec<Option<Row>> = run.given.keys().map(|(_, met)| *met).collect();
    assert_eq!(met, [None, Some((Some(2), 100, Some(3)))]);
}

#[test]
fn a_key_with_many_rows_and_versions_is_worked_off_in_steps() {
    let mut run = outer();
    let rows: Vec<Row> = (0..20_000).map(|time| (Some(1), time, None)).collect();
    let versions: Vec<_> = (0..20_000).map(|n| put(1, i64::from(n), n)).collect();
    run.wait(&rows);
    run.follow(&versions);
    assert!(run.pass(20_000) >= 4);
    assert_eq!(run.given.len(), 20_000);
    assert!(run.given.keys().all(|(row, met)| met.is_some_and(|met| met.1 == row.1)));
    assert_eq!(run.kept(), [0, 1]);
}

#[test]
fn versions_go_without_rows_that_ask_for_them() {
    let mut run = outer();
    for time in 0..10 {
        run.follow(&[put(1, time, 0)]);
    }
    run.pass(5);
    assert_eq!(run.kept(), [0, 6]);
    run.follow(&[((Some(1), 20, None), RowKind::Delete)]);
    run.pass(21);
    assert_eq!(run.kept(), [0, 0]);
}
