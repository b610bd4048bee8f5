//! The operator against a naive model: rows in any order that are not late, pairs by definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::IntervalJoin;
use crate::operators::join::spec::{Condition, IntervalJoin as Spec, JoinKind, TimedInput};
use crate::operators::testing::{GROUPS, StoredTables};
use crate::{Batch, Operator, Watermark};

/// `k`, `ts`, `n` of either side.
type Row = (Option<i64>, i64, Option<i32>);

/// `k`, `ts`, `n` of both, as far as there is one.
type Pair = (Option<Row>, Option<Row>);

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("ts", time, true),
        Field::new("n", DataType::Int32, true),
    ]))
}

fn batch(rows: &[Row]) -> Batch {
    let k = Int64Array::from_iter(rows.iter().map(|r| r.0));
    let ts = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.1));
    let n = Int32Array::from_iter(rows.iter().map(|r| r.2));
    let columns = vec![Arc::new(k) as _, Arc::new(ts) as _, Arc::new(n) as _];
    Batch::new(RecordBatch::try_new(schema(), columns).unwrap())
}

#[derive(Clone, Debug)]
struct Wanted {
    kind: JoinKind,
    keyed: bool,
    within: [i64; 2],
    conditioned: bool,
}

impl Wanted {
    fn spec(&self) -> Spec {
        let keys = if self.keyed { vec![0] } else { Vec::new() };
        let input = || TimedInput { schema: schema(), keys: keys.clone(), time: 1, shift: 0 };
        let condition = Condition {
            columns: vec![2, 5],
            test: Arc::new(|pairs| {
                let n = |c: usize| pairs.column(c).as_primitive::<Int32Type>().iter();
                Ok(BooleanArray::from_iter(n(0).zip(n(1)).map(|(a, b)| Some(a? <= b?))))
            }),
        };
        Spec {
            kind: self.kind,
            left: input(),
            right: input(),
            null_safe: keys.iter().map(|_| false).collect(),
            within: self.within,
            condition: self.conditioned.then_some(condition),
            leaves_late: false,
        }
    }

    fn matches(&self, left: &Row, right: &Row) -> bool {
        let apart = right.1 - left.1;
        (!self.keyed || left.0.is_some() && left.0 == right.0)
            && (self.within[0]..=self.within[1]).contains(&apart)
            && (!self.conditioned || left.2.zip(right.2).is_some_and(|(a, b)| a <= b))
    }

    /// When a row that has no match is to be given.
    fn due(&self, side: usize, row: &Row) -> i64 {
        row.1 + if side == 0 { self.within[1] } else { -self.within[0] }
    }

    /// What must have been given of these rows once this watermark has passed.
    fn join(&self, sides: &[Vec<Row>; 2], mark: i64) -> BTreeMap<Pair, usize> {
        let mut pairs = BTreeMap::new();
        let mut give = |pair: Pair| *pairs.entry(pair).or_insert(0) += 1;
        let [left, right] = sides;
        for l in left {
            for r in right.iter().filter(|r| self.matches(l, r)) {
                give((Some(*l), Some(*r)));
            }
        }
        let alone = self.kind.gives_alone();
        // A row whose key matches nothing is given at once.
        let is_due =
            |side: usize, row: &Row| self.keyed && row.0.is_none() || self.due(side, row) < mark;
        for l in left.iter().filter(|l| alone[0] && is_due(0, l)) {
            if !right.iter().any(|r| self.matches(l, r)) {
                give((Some(*l), None));
            }
        }
        for r in right.iter().filter(|r| alone[1] && is_due(1, r)) {
            if !left.iter().any(|l| self.matches(l, r)) {
                give((None, Some(*r)));
            }
        }
        pairs
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// Rows, so much later than the watermark.
    Rows(usize, Vec<(Option<i64>, i64, Option<i32>)>),
    /// The watermark advances by so much.
    Pass(i64),
    Checkpoint,
    Trim(usize),
    Restore(bool),
}

struct Run {
    wanted: Wanted,
    operator: IntervalJoin,
    segments: StoredTables,
    sides: [Vec<Row>; 2],
    given: BTreeMap<Pair, usize>,
    mark: i64,
    /// The watermark that has left.
    left: i64,
}

impl Run {
    fn new(wanted: Wanted) -> Self {
        let mut operator = IntervalJoin::new(&wanted.spec(), GROUPS).unwrap();
        let segments = StoredTables::of(&mut operator);
        let (sides, given) = (Default::default(), BTreeMap::new());
        let mut run = Self { wanted, operator, segments, sides, given, mark: 0, left: i64::MIN };
        run.pass(-1_000);
        run
    }

    fn collect(&mut self, batches: Vec<Batch>, in_time: bool) -> usize {
        let mut rows = 0;
        for batch in batches {
            assert!(batch.kinds().is_none());
            let side = |first: usize, row: usize| {
                let column = |c: usize| batch.records().column(first + c);
                let k = column(0).as_primitive::<arrow::datatypes::Int64Type>();
                let ts = column(1).as_primitive::<arrow::datatypes::TimestampMillisecondType>();
                let n = column(2).as_primitive::<Int32Type>();
                let get = |valid: bool, value: i64| valid.then_some(value);
                ts.is_valid(row).then(|| {
                    let k = get(k.is_valid(row), k.value(row));
                    (k, ts.value(row), n.is_valid(row).then(|| n.value(row)))
                })
            };
            for row in 0..batch.num_rows() {
                let pair: Pair = (side(0, row), side(3, row));
                for time in [pair.0, pair.1].into_iter().flatten().map(|row| row.1) {
                    assert!(!in_time || time >= self.left, "{pair:?} behind {}", self.left);
                }
                *self.given.entry(pair).or_insert(0) += 1;
                rows += 1;
            }
        }
        rows
    }

    fn go_on(&mut self, in_time: bool) -> usize {
        let mut rows = 0;
        loop {
            let keys = self.operator.keys_to_resume().unwrap();
            self.segments.read(&mut self.operator, keys);
            let Some(given) = self.operator.step().unwrap() else { return rows };
            rows += self.collect(given, in_time);
        }
    }

    fn take_in(&mut self, side: usize, rows: &[Row], in_time: bool) -> usize {
        let batch = batch(rows);
        let keys = self.operator.keys_of(side, &batch).unwrap();
        self.segments.read(&mut self.operator, keys);
        let given = self.operator.take_in(side, &batch).unwrap();
        self.collect(given, in_time) + self.go_on(in_time)
    }

    fn pass(&mut self, mark: i64) -> usize {
        self.mark = mark;
        self.operator.pass(Watermark(mark)).unwrap();
        let given = self.go_on(true);
        self.left = self.operator.outgoing(Watermark(mark)).0;
        given
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Rows(side, rows) => {
                let at = |(k, later, n)| (k, self.mark + later, n);
                let rows: Vec<Row> = rows.into_iter().map(at).collect();
                self.sides[side].extend(&rows);
                self.take_in(side, &rows, true);
            }
            Event::Pass(by) => {
                self.pass(self.mark + by);
            }
            Event::Checkpoint => self.segments.checkpoint(&mut self.operator),
            Event::Trim(want) => self.operator.tables().into_iter().for_each(|table| {
                table.sweep(1_000);
                table.trim(want);
            }),
            Event::Restore(whole) => {
                self.segments.checkpoint(&mut self.operator);
                self.operator = IntervalJoin::new(&self.wanted.spec(), GROUPS).unwrap();
                self.segments.restore(&mut self.operator, whole);
                self.operator.let_go(Watermark(self.mark));
            }
        }
        let wanted = self.wanted.join(&self.sides, self.mark);
        // Rows that can match nothing that is not late are given when they come.
        for (pair, count) in &self.given {
            let due = wanted.get(pair).copied().unwrap_or_default();
            let alone = match pair {
                (Some(row), None) => self.wanted.due(0, row) < self.mark,
                (None, Some(row)) => self.wanted.due(1, row) < self.mark,
                _ => true,
            };
            assert!(!alone || due == *count, "{pair:?} was given {count} times, not {due}");
        }
        for (pair, count) in &wanted {
            assert_eq!(self.given.get(pair), Some(count), "{pair:?} {:?}", self.wanted);
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let row =
        (prop::option::weighted(0.9, 0_i64..3), 0_i64..30, prop::option::weighted(0.9, 0_i32..3));
    prop_oneof![
        8 => (0_usize..2, prop::collection::vec(row, 1..8))
            .prop_map(|(side, rows)| Event::Rows(side, rows)),
        4 => (0_i64..20).prop_map(Event::Pass),
        1 => Just(Event::Checkpoint),
        1 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(Event::Restore),
    ]
}

fn any_join() -> impl Strategy<Value = Wanted> {
    let kinds = vec![JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
    (prop::sample::select(kinds), prop::bool::weighted(0.8), -12_i64..12, 0_i64..15, any::<bool>())
        .prop_map(|(kind, keyed, least, more, conditioned)| Wanted {
            kind,
            keyed,
            within: [least, least + more],
            conditioned,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pairs_within_reach_are_given_and_rows_without_one_once_it_is_certain(
        wanted in any_join(),
        events in prop::collection::vec(any_event(), 1..25),
    ) {
        let mut run = Run::new(wanted);
        events.into_iter().for_each(|event| run.on(event));
        run.pass(i64::MAX);
        assert_eq!(run.given, run.wanted.join(&run.sides, i64::MAX), "{:?}", run.wanted);
    }
}

fn near(kind: JoinKind) -> Run {
    Run::new(Wanted { kind, keyed: true, within: [-5, 10], conditioned: false })
}

#[test]
fn rows_go_once_no_row_that_is_not_late_can_match_them() {
    let mut run = near(JoinKind::Inner);
    run.pass(0);
    run.take_in(0, &[(Some(1), 100, None), (Some(1), 101, None)], true);
    run.take_in(1, &[(Some(1), 103, None)], true);
    assert_eq!(run.given.len(), 2);
    // 100 reaches 110.
    run.pass(110);
    assert_eq!(run.take_in(1, &[(Some(1), 110, None)], true), 2);
    run.pass(111);
    run.operator.tables().into_iter().for_each(|table| {
        table.sweep(1_000);
    });
    // What is late joins what is there.
    assert_eq!(run.take_in(1, &[(Some(1), 100, None)], false), 1);
    run.pass(200);
    assert_eq!(run.take_in(1, &[(Some(1), 100, None)], false), 0);
}

#[test]
fn a_late_row_without_a_match_is_given_alone_at_once() {
    let mut run = near(JoinKind::Left);
    run.pass(200);
    assert_eq!(run.take_in(0, &[(Some(1), 150, None), (Some(2), 195, None)], false), 1);
    assert_eq!(run.pass(205), 0);
    assert_eq!(run.pass(206), 1);
    assert_eq!(run.left, 196);
}

#[test]
fn a_row_with_many_matches_is_joined_in_steps() {
    let mut run = near(JoinKind::Full);
    run.pass(0);
    let many: Vec<Row> = (0..10_000).map(|n| (Some(1), 100, Some(n))).collect();
    run.take_in(0, &many, true);
    assert_eq!(run.take_in(1, &[(Some(1), 100, None), (Some(2), 100, None)], true), 10_000);
    assert_eq!(run.pass(1_000), 1);
}

#[test]
fn rows_of_a_window_that_is_over_are_left_out() {
    let wanted = Wanted { kind: JoinKind::Left, keyed: true, within: [0, 0], conditioned: false };
    let mut spec = wanted.spec();
    spec.leaves_late = true;
    // Times are ends of windows.
    (spec.left.shift, spec.right.shift) = (-1, -1);
    let mut run = Run::new(wanted);
    run.operator = IntervalJoin::new(&spec, GROUPS).unwrap();
    run.pass(50);
    run.take_in(0, &[(Some(1), 100, None), (Some(2), 100, None)], true);
    assert_eq!(run.take_in(1, &[(Some(1), 100, None), (Some(1), 90, None)], true), 1);
    assert_eq!(run.pass(99), 0);
    assert_eq!(run.pass(100), 1);
    assert_eq!(run.take_in(0, &[(Some(1), 100, None), (Some(3), 100, None)], true), 0);
    assert_eq!(run.pass(200), 0);
}

#[test]
fn time_that_begins_anew_finds_nothing_of_what_was_given_at_its_end() {
    let mut run = near(JoinKind::Left);
    run.pass(0);
    run.take_in(0, &[(Some(1), 100, None)], true);
    assert_eq!(run.pass(i64::MAX), 1);
    run.left = i64::MIN;
    run.take_in(0, &[(Some(1), 200, None)], true);
    assert_eq!(run.take_in(1, &[(Some(1), 205, None), (Some(1), 100, None)], true), 1);
}
