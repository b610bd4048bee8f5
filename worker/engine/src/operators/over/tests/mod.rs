//! The operator against a naive model: every row's frame, looked up among all rows of its key.

mod corrected;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch, TimestampMillisecondArray};
use proptest::prelude::*;
use weir_protocol::Counter;

use crate::aggregate::testing::{Row, aggregates, expected, key_of, schema};
use crate::aggregate::{AggregateCall, functions};
use crate::operators::over::operator::OverRows;
use crate::operators::over::spec::{Frame, FrameUnit, Over, OverCall, OverFunction};
use crate::operators::over::{operator, output_schema, tables};
use crate::operators::rank::spec::SortColumn;
use crate::operators::testing::{Bench, Event, GROUPS, any_events, any_row, batch_behind, text};
use crate::{Batch, Operator, RowKind};

const INT: usize = 2;
const TEXT: usize = 4;

/// Functions that look at rows of a frame: all aggregates.
fn framed(frame: Frame) -> Vec<OverCall> {
    let values = [
        ("first", OverFunction::FirstValue(INT)),
        ("last", OverFunction::LastValue(INT)),
        ("first_text", OverFunction::FirstValue(TEXT)),
        ("last_text", OverFunction::LastValue(TEXT)),
    ];
    let values = values.map(|(name, function)| OverCall { function, frame, name: name.to_owned() });
    let aggregates = aggregates().into_iter().map(|call| {
        let name = call.name.clone();
        OverCall { function: OverFunction::Aggregate(call), frame, name }
    });
    values.into_iter().chain(aggregates).collect()
}

/// Functions of a row's place.
fn placed() -> Vec<OverCall> {
    let lag = |input, offset, default| OverFunction::Lag { input, offset, default };
    let functions = [
        OverFunction::RowNumber,
        OverFunction::Rank,
        OverFunction::DenseRank,
        lag(INT, 1, None),
        lag(TEXT, 2, Some(TEXT)),
        lag(INT, 0, None),
    ];
    let call = |(at, function): (usize, OverFunction)| OverCall {
        function,
        frame: Frame::RUNNING,
        name: format!("place{at}"),
    };
    functions.into_iter().enumerate().map(call).collect()
}

fn spec(keys: &[&str], sorted: bool, calls: Vec<OverCall>) -> Over {
    let input = schema();
    let by_int = SortColumn { column: INT, descending: true, nulls_first: false };
    Over {
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        time: 0,
        order: if sorted { vec![by_int] } else { Vec::new() },
        calls,
        at_once: false,
        ttl: None,
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let unit = prop::sample::select(vec![FrameUnit::Rows, FrameUnit::Range]);
    (unit, prop::option::weighted(0.7, 0_i64..6)).prop_map(|(unit, preceding)| Frame {
        unit,
        preceding,
        following: Some(0),
    })
}

/// What the functions give for the row at `at` of its key's rows, of which `equal` are equal to it
/// in the order.
fn results(spec: &Over, rows: &[&Row], at: usize, equal: (usize, usize)) -> Vec<String> {
    let name = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let cell = |row: &Row, column: usize| text(row)[column].clone();
    let of = |call: &OverCall| {
        let end = if call.frame.unit == FrameUnit::Rows { at + 1 } else { equal.1 };
        let start = match (call.frame.unit, call.frame.preceding) {
            (_, None) => 0,
            (FrameUnit::Rows, Some(back)) => at.saturating_sub(back as usize),
            (FrameUnit::Range, Some(back)) => {
                rows.iter().position(|row| row.ts >= rows[at].ts - back).unwrap()
            }
        };
        let frame = &rows[start..end];
        match &call.function {
            OverFunction::RowNumber => (at + 1).to_string(),
            OverFunction::Rank => (equal.0 + 1).to_string(),
            OverFunction::DenseRank => {
                let order = |row: &&&Row| (row.ts, (!spec.order.is_empty()).then_some(row.int));
                let mut before: Vec<_> = rows[..equal.0].iter().map(|r| order(&r)).collect();
                before.dedup();
                (before.len() + 1).to_string()
            }
            OverFunction::Lag { input, offset, default } => {
                match at.checked_sub(*offset as usize) {
                    Some(before) => cell(rows[before], *input),
                    None => name(default.map(|column| cell(rows[at], column))),
                }
            }
            OverFunction::Lead { .. }
            | OverFunction::Ntile(_)
            | OverFunction::PercentRank
            | OverFunction::CumeDist => panic!("it is of rows that leave together"),
            OverFunction::FirstValue(column) => {
                name(frame.iter().map(|row| cell(row, *column)).find(|value| value != "NULL"))
            }
            OverFunction::LastValue(column) => {
                name(frame.iter().rev().map(|row| cell(row, *column)).find(|value| value != "NULL"))
            }
            OverFunction::Aggregate(call) => {
                let number = aggregates().iter().position(|known| known.name == call.name).unwrap();
                expected(frame).remove(number)
            }
        }
    };
    spec.calls.iter().map(of).collect()
}

/// Rows of the keys that were not late, and what has left.
struct Model {
    spec: Over,
    bounded: bool,
    /// By key: the rows in the order in which they came, each with the watermark that it was behind.
    rows: BTreeMap<Vec<String>, Vec<(Row, Option<i64>)>>,
    passed: i64,
    /// By key the last time whose rows have left.
    last: BTreeMap<Vec<String>, i64>,
    late: u64,
}

impl Model {
    fn take_in(&mut self, row: Row, behind: Option<i64>) {
        let key = key_of(&row, &self.spec.keys);
        let known = self.rows.entry(key.clone()).or_default();
        let left = self.last.get(&key).is_some_and(|last| row.ts <= *last);
        let given = |mark: i64| {
            known.iter().any(|(other, own)| other.ts >= row.ts && own.unwrap_or(other.ts) < mark)
        };
        let late = left || behind.is_some_and(|behind| !self.bounded || given(behind));
        if late {
            self.late += 1;
        } else {
            known.push((row, behind.filter(|_| self.bounded)));
        }
    }

    /// The time from which on rows of a key wait.
    fn waits(&self, rows: &[(Row, Option<i64>)]) -> i64 {
        let waits = rows.iter().filter(|(row, own)| own.unwrap_or(row.ts) >= self.passed);
        let at_end = self.passed == i64::MAX;
        waits.map(|(row, _)| row.ts).min().filter(|_| !at_end).unwrap_or(self.passed)
    }

    fn watermark(&mut self, mark: i64) {
        self.passed = mark;
        for (key, rows) in &self.rows {
            let until = self.waits(rows).min(mark);
            if let Some(last) = rows.iter().map(|(row, _)| row.ts).filter(|ts| *ts < until).max() {
                self.last.insert(key.clone(), last);
            }
        }
    }

    fn wanted(&self) -> Vec<Vec<String>> {
        let mut wanted = Vec::new();
        for rows in self.rows.values() {
            let until = self.waits(rows);
            let sorted = !self.spec.order.is_empty();
            // Largest first, NULL last.
            let order = |row: &Row| {
                let int = row.int.map_or(i64::MAX, |int| -i64::from(int));
                (row.ts, if sorted { int } else { 0 })
            };
            let mut rows: Vec<&Row> = rows.iter().map(|(row, _)| row).collect();
            rows.sort_by_key(|row| order(row));
            for (at, row) in rows.iter().enumerate() {
                if row.ts < until {
                    let start = rows.partition_point(|other| order(other) < order(row));
                    let end = rows.partition_point(|other| order(other) <= order(row));
                    let results = results(&self.spec, &rows, at, (start, end));
                    wanted.push(text(row).into_iter().chain(results).collect());
                }
            }
        }
        wanted.sort();
        wanted
    }
}

fn fresh(spec: &Over) -> Box<dyn Operator> {
    Box::new(OverRows::new(spec, GROUPS).unwrap())
}

fn check(spec: Over, bounded: bool, events: Vec<Event>) {
    let mut bench = Bench::new(fresh(&spec));
    let (rows, last) = (BTreeMap::new(), BTreeMap::new());
    let mut model = Model { spec, bounded, rows, passed: i64::MIN, last, late: 0 };
    for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
        match event {
            Event::Batch(rows) => {
                bench.batch(batch_behind(&rows));
                for (row, by) in rows {
                    let behind = by.map(|by| row.ts + 1 + by);
                    model.take_in(row, behind);
                }
            }
            Event::Watermark(mark) => model.watermark(bench.watermark(mark)),
            Event::Checkpoint => bench.checkpoint(),
            Event::Trim(want) => bench.trim(want),
            Event::Restore { whole } => bench.restore(fresh(&model.spec), whole),
        }
    }
    assert!(bench.out.iter().all(|(kind, _)| *kind == RowKind::Insert));
    let mut given: Vec<_> = bench.out.into_iter().map(|(_, row)| row).collect();
    given.sort();
    assert_eq!(given, model.wanted());
    assert_eq!(bench.cx.metrics.get(Counter::Late), model.late);
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

fn any_keys() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]])
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn rows_leave_with_the_results_of_their_frames(
        keys in any_keys(),
        sorted in any::<bool>(),
        frame in any_frame(),
        events in any_events(any_row(24), 6, 26),
    ) {
        check(spec(&keys, sorted, framed(frame)), frame.preceding.is_some(), events);
    }

    #[test]
    fn several_frames_and_places_are_computed_side_by_side(
        keys in any_keys(),
        sorted in any::<bool>(),
        frames in prop::collection::vec(any_frame(), 0..3),
        events in any_events(any_row(24), 6, 26),
    ) {
        let mut calls = placed();
        for (number, frame) in frames.into_iter().enumerate() {
            calls.extend(framed(frame).into_iter().map(|mut call| {
                call.name = format!("{number} {}", call.name);
                call
            }));
        }
        let calls = distinct_states(calls);
        check(spec(&keys, sorted, calls), false, events);
    }
}

/// Running aggregates keep state under their names: one of each name.
fn distinct_states(calls: Vec<OverCall>) -> Vec<OverCall> {
    let mut names: Vec<String> = Vec::new();
    let runs = |call: &OverCall| call.frame.preceding.is_none();
    calls
        .into_iter()
        .filter(|call| match &call.function {
            OverFunction::Aggregate(aggregate) if runs(call) => {
                let new = !names.contains(&aggregate.name);
                names.push(aggregate.name.clone());
                new
            }
            _ => true,
        })
        .collect()
}

fn row(ts: i64, int: i32) -> Row {
    Row { ts, k: Some(1), int: Some(int), float: None, text: None, decimal: None, flag: None }
}

#[test]
fn rows_of_one_time_leave_in_the_order_in_which_they_came() {
    let mut bench = Bench::new(fresh(&spec(&["k"], false, placed())));
    bench.batch(batch_behind(&[(row(5, 1), None), (row(3, 2), None), (row(5, 3), None)]));
    bench.watermark(5);
    bench.batch(batch_behind(&[(row(5, 4), None)]));
    bench.watermark(6);
    let ints: Vec<&str> = bench.out.iter().map(|(_, row)| row[INT].as_str()).collect();
    assert_eq!(ints, ["2", "1", "3", "4"]);
}

#[test]
fn a_sum_overflows_by_the_rows_of_its_frame_alone() {
    let large = 90_000_000_000_000_000_000_000_000_000_000_000_000_i128;
    let numbers = [0, 0, 0, -1, 1, 1, -1, -1].map(|sign| sign * large);
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(0..8));
    let numbers = Decimal128Array::from_iter_values(numbers).with_precision_and_scale(38, 0);
    let columns = [("ts", times), ("d", Arc::new(numbers.unwrap()) as ArrayRef)];
    let records = RecordBatch::try_from_iter(columns).unwrap();
    let call = AggregateCall {
        function: functions::SUM,
        input: Some(1),
        filter: None,
        distinct: false,
        name: "sum".to_owned(),
    };
    let frame = Frame { unit: FrameUnit::Rows, preceding: Some(4), following: Some(0) };
    let function = OverFunction::Aggregate(call);
    let spec = Over {
        input: records.schema(),
        calls: vec![OverCall { function, frame, name: "sum".to_owned() }],
        ..spec(&[], false, Vec::new())
    };
    let mut bench = Bench::new(fresh(&spec));
    bench.batch(Batch::new(records));
    bench.watermark(i64::MAX);
    // The first two of the last four rows come to more than can be held, but not behind the one before.
    let sums: Vec<&str> = bench.out.iter().map(|(_, row)| row[2].as_str()).collect();
    let [zero, plus, minus] = ["0".to_owned(), large.to_string(), (-large).to_string()];
    assert_eq!(sums, [&zero, &zero, &zero, &minus, &zero, &plus, &zero, &minus]);
}

#[test]
fn rows_that_no_frame_reaches_are_forgotten() {
    let kept = |frame: Frame| {
        let mut operator = OverRows::new(&spec(&["k"], false, framed(frame)), GROUPS).unwrap();
        let rows: Vec<_> = (0..100).map(|ts| (row(ts, 1), None)).collect();
        operator.take_in(&batch_behind(&rows), 0).unwrap();
        operator.pass(i64::MAX).unwrap();
        operator.rows_kept()
    };
    assert_eq!(kept(Frame::RUNNING), 0);
    assert_eq!(kept(Frame { unit: FrameUnit::Rows, preceding: Some(2), following: Some(0) }), 2);
    assert_eq!(kept(Frame { unit: FrameUnit::Range, preceding: Some(7), following: Some(0) }), 8);
}

#[test]
fn what_is_known_expires_only_where_no_rows_are_kept() {
    let expiry = |calls| {
        let spec = Over { ttl: Some(10), ..spec(&["k"], false, calls) };
        tables(&spec).unwrap().iter().map(|table| table.expiry.is_ttl()).collect::<Vec<_>>()
    };
    assert_eq!(expiry(framed(Frame::RUNNING)), [false, true, false]);
    assert_eq!(expiry(placed()), [false, false, false]);
}

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = spec(&["k"], true, framed(Frame::RUNNING));
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    let width = schema().fields().len() + spec.calls.len();
    assert_eq!(output_schema(&spec).unwrap().fields().len(), width);
    assert!(operator(&Over { time: INT, ..spec }).is_err());
}
