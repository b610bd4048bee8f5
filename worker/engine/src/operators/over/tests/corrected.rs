//! Corrected results against the same naive model: what has left, folded, is what it gives for the
//! rows that are there.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{
    INT, any_frame, cases, distinct_states, framed, key_of, placed, results, schema, text,
};
use crate::aggregate::testing::{Row, records};
use crate::operators::over::corrected::CorrectedRows;
use crate::operators::over::spec::{CorrectedOver, Frame, FrameUnit, Over, OverCall};
use crate::operators::over::{corrected, corrected_tables};
use crate::operators::rank::spec::SortColumn;
use crate::operators::testing::{Bench, GROUPS, any_row, kind};
use crate::{Batch, Operator, RowKind};

#[derive(Clone, Debug)]
enum Change {
    Come(Row),
    /// One of those that are there goes: this one, counted around.
    Go(usize),
}

#[derive(Clone, Debug)]
enum Event {
    Batch(Vec<Change>),
    Checkpoint,
    Trim(usize),
    Restore { whole: bool },
}

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let change = prop_oneof![
        2 => any_row(12).prop_map(Change::Come),
        1 => any::<prop::sample::Index>().prop_map(|index| Change::Go(index.index(1_000))),
    ];
    let event = prop_oneof![
        8 => prop::collection::vec(change, 1..9).prop_map(Event::Batch),
        1 => Just(Event::Checkpoint),
        1 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ];
    prop::collection::vec(event, 1..14)
}

/// Sorted by the time, if `by_time`, then by the largest `int`.
fn spec(keys: &[&str], by_time: bool, calls: Vec<OverCall>) -> CorrectedOver {
    let input = schema();
    let time = SortColumn { column: 0, descending: false, nulls_first: true };
    let by_int = SortColumn { column: INT, descending: true, nulls_first: false };
    CorrectedOver {
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        order: by_time.then_some(time).into_iter().chain([by_int]).collect(),
        calls,
        ttl: None,
    }
}

struct Run {
    spec: CorrectedOver,
    bench: Bench,
    /// What is there, in the order in which it came.
    rows: Vec<Row>,
    folded: BTreeMap<Vec<String>, i64>,
}

fn fresh(spec: &CorrectedOver) -> Box<dyn Operator> {
    Box::new(CorrectedRows::new(spec, GROUPS).unwrap())
}

impl Run {
    fn new(spec: CorrectedOver) -> Self {
        let bench = Bench::new(fresh(&spec));
        Self { spec, bench, rows: Vec::new(), folded: BTreeMap::new() }
    }

    fn on(&mut self, event: Event, by_time: bool) {
        match event {
            Event::Batch(changes) => {
                let mut batch = Vec::new();
                for change in changes {
                    let other = batch.len() % 2 == 1;
                    match change {
                        Change::Come(mut row) => {
                            row.ts = if by_time { row.ts } else { 0 };
                            batch.push((row.clone(), kind(true, other)));
                            self.rows.push(row);
                        }
                        Change::Go(_) if self.rows.is_empty() => {}
                        Change::Go(number) => {
                            let row = self.rows[number % self.rows.len()].clone();
                            // Of equal rows the first to come goes.
                            let same = |other: &Row| text(other) == text(&row);
                            let first = self.rows.iter().position(same).unwrap();
                            self.rows.remove(first);
                            batch.push((row, kind(false, other)));
                        }
                    }
                }
                self.take_in(&batch);
                assert_eq!(self.folded, self.wanted());
            }
            Event::Checkpoint => self.bench.checkpoint(),
            Event::Trim(want) => self.bench.trim(want),
            Event::Restore { whole } => {
                self.bench.checkpoint();
                self.bench.restore(fresh(&self.spec), whole);
            }
        }
    }

    fn take_in(&mut self, batch: &[(Row, RowKind)]) {
        if batch.is_empty() {
            return;
        }
        let (rows, kinds): (Vec<Row>, Vec<RowKind>) = batch.iter().cloned().unzip();
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(records(&rows)).with_kinds((!inserts).then(|| kinds.into()));
        self.bench.batch(batch);
        for (kind, row) in std::mem::take(&mut self.bench.out) {
            let count = self.folded.entry(row.clone()).or_default();
            *count += if kind.goes() { -1 } else { 1 };
            assert!(*count >= 0, "{row:?} went without being there");
        }
        self.folded.retain(|_, count| *count != 0);
    }

    fn wanted(&self) -> BTreeMap<Vec<String>, i64> {
        let mut keys: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            keys.entry(key_of(row, &self.spec.keys)).or_default().push(row);
        }
        // The model sorts by the time first, which is one where it does not count.
        let model = Over {
            input: schema(),
            keys: self.spec.keys.clone(),
            time: 0,
            order: self.spec.order.clone(),
            calls: self.spec.calls.clone(),
            at_once: false,
            ttl: None,
        };
        let order = |row: &Row| (row.ts, row.int.map_or(i64::MAX, |int| -i64::from(int)));
        let mut wanted = BTreeMap::new();
        for mut rows in keys.into_values() {
            rows.sort_by_key(|row| order(row));
            for (at, row) in rows.iter().enumerate() {
                let start = rows.partition_point(|other| order(other) < order(row));
                let end = rows.partition_point(|other| order(other) <= order(row));
                let results = results(&model, &rows, at, (start, end));
                *wanted.entry(text(row).into_iter().chain(results).collect()).or_default() += 1;
            }
        }
        wanted
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn results_are_corrected_as_rows_come_and_go(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        by_time in any::<bool>(),
        frame in any_frame(),
        events in any_events(),
    ) {
        let counts_time = frame.unit == FrameUnit::Range && !by_time;
        let frame = if counts_time { Frame { preceding: None, ..frame } } else { frame };
        let calls = distinct_states(placed().into_iter().chain(framed(frame)).collect());
        let mut run = Run::new(spec(&keys, by_time, calls));
        events.into_iter().for_each(|event| run.on(event, by_time));
    }
}

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = spec(&["k"], false, placed());
    let mut operator = fresh(&spec);
    let declared: Vec<_> = operator.tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, corrected_tables(&spec).unwrap());
    let frame = Frame { unit: FrameUnit::Range, preceding: Some(1), following: Some(0) };
    let without = CorrectedOver { order: Vec::new(), calls: framed(frame), ..spec };
    assert!(corrected(&without).err().unwrap().message.contains("without an order"));
}

#[test]
fn the_rows_of_a_key_are_forgotten_together() {
    let spec = CorrectedOver { ttl: Some(10), ..spec(&["k"], true, placed()) };
    let mut run = Run::new(spec);
    let row =
        |ts| Row { ts, k: Some(1), int: None, float: None, text: None, decimal: None, flag: None };
    let comes = |run: &mut Run, ts: i64, after: u64| {
        run.bench.cx.clock.advance(Duration::from_secs(after));
        run.rows.push(row(ts));
        run.take_in(&[(row(ts), RowKind::Insert)]);
    };
    // Each within the time of the one before, the last behind that of the first.
    for (ts, after) in [(5, 1), (3, 7), (4, 7)] {
        comes(&mut run, ts, after);
        assert_eq!(run.folded, run.wanted());
    }
    // What was given stays as it is; the next row is the first one.
    let given = run.folded.clone();
    run.rows.clear();
    comes(&mut run, 1, 10);
    let mut wanted = run.wanted();
    wanted.extend(given);
    assert_eq!(run.folded, wanted);
}
