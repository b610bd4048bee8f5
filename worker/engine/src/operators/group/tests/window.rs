//! Groups of windows against a naive model: rows that come and go, windows that end. A row's window
//! ends at the multiple of ten above its time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;
use weir_protocol::Counter;

use super::{any_row, cases, spec};
use crate::aggregate::InputRows;
use crate::aggregate::testing::{Row, expected, key_of, show};
use crate::operators::group::spec::{Ends, GroupAggregate};
use crate::operators::group::tables;
use crate::operators::group::window::WindowGroup;
use crate::operators::testing::{Bench, GROUPS, batch_behind, kind};
use crate::{Batch, Operator, RowKind, Watermark};

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Batch(Vec<Change>),
    Watermark(i64),
    Checkpoint,
    Trim(usize),
    Restore { whole: bool },
}

#[derive(Clone, Debug)]
enum Change {
    /// A row comes, whose split's watermark was so far ahead of it, if it was.
    Come(Row, Option<i64>),
    /// One of those that are there and not too late goes.
    Go(usize),
}

fn end_of(row: &Row) -> i64 {
    (row.ts / 10 + 1) * 10
}

fn shown_end(end: i64) -> String {
    show::<TimestampMillisecondArray, _>(Some(end))
}

/// The rows with the end of their window behind them.
fn windowed(rows: &[(Row, Option<i64>)], kinds: Vec<RowKind>) -> Batch {
    let batch = batch_behind(rows);
    let ends = rows.iter().map(|(row, _)| end_of(row));
    let ends: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(ends));
    let columns = batch.records().columns().iter().cloned().chain([ends]).collect();
    let records = RecordBatch::try_new(spec_of(&[], Ends::once(0)).input, columns).unwrap();
    let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
    batch.with_records(records).unwrap().with_kinds((!inserts).then(|| kinds.into()))
}

fn spec_of(keys: &[&str], ends: Ends) -> GroupAggregate {
    let plain = spec(InputRows::Retracted, keys);
    let end = Field::new("end", DataType::Timestamp(TimeUnit::Millisecond, None), true);
    let fields = plain.input.fields().iter().map(|f| f.as_ref().clone()).chain([end]);
    let column = plain.input.fields().len();
    GroupAggregate {
        input: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        ends: Some(Ends { at: keys.len(), ..ends }),
        keys: plain.keys.into_iter().chain([column]).collect(),
        ..plain
    }
}

fn fresh(spec: &GroupAggregate) -> Box<dyn Operator> {
    Box::new(WindowGroup::new(spec, GROUPS).unwrap())
}

fn any_event() -> impl Strategy<Value = Event> {
    let row = (0_i64..40, any_row()).prop_map(|(ts, row)| Row { ts, ..row });
    let change = prop_oneof![
        6 => (row, prop::option::weighted(0.15, 0_i64..12))
            .prop_map(|(row, behind)| Change::Come(row, behind)),
        4 => any::<prop::sample::Index>().prop_map(|index| Change::Go(index.index(1_000))),
    ];
    prop_oneof![
        8 => prop::collection::vec(change, 1..12).prop_map(Event::Batch),
        4 => (0_i64..60).prop_map(Event::Watermark),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ]
}

fn any_ends() -> impl Strategy<Value = Ends> {
    let lateness = prop_oneof![3 => Just(0), 2 => 1_i64..25];
    (any::<bool>(), any::<bool>(), lateness).prop_map(|(early, late, lateness)| {
        // Who is not told of late rows has none.
        let late = late || lateness > 0;
        Ends { at: 0, early, late, lateness }
    })
}

type Key = (Vec<String>, i64);

/// The rows of windows, and how far time is.
struct Model {
    keys: Vec<usize>,
    rows: Vec<Row>,
    done: i64,
}

impl Model {
    /// Results of the windows that end up to a time.
    fn results(&self, up_to: i64) -> BTreeMap<Key, Vec<String>> {
        let mut groups: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| end_of(row) <= up_to) {
            groups.entry((key_of(row, &self.keys), end_of(row))).or_default().push(row);
        }
        groups.into_iter().map(|(key, rows)| (key, expected(&rows))).collect()
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn results_of_windows_are_those_over_the_rows_that_were_not_late(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        ends in any_ends(),
        events in prop::collection::vec(any_event(), 1..24),
    ) {
        let spec = spec_of(&keys, ends);
        let mut bench = Bench::new(fresh(&spec));
        let own = spec.keys[..keys.len()].to_vec();
        let mut model = Model { keys: own, rows: Vec::new(), done: i64::MIN };
        let mut late = 0;
        let mut folded: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
            match event {
                Event::Batch(changes) => {
                    let (mut rows, mut kinds) = (Vec::new(), Vec::new());
                    for change in changes {
                        match change {
                            Change::Come(row, by) => {
                                let mark = by.map_or(i64::MIN, |by| row.ts + 1 + by);
                                if end_of(&row) + ends.lateness <= mark.max(model.done) {
                                    late += 1;
                                } else {
                                    model.rows.push(row.clone());
                                }
                                rows.push((row, by));
                                kinds.push(kind(true, rows.len() % 2 == 0));
                            }
                            Change::Go(number) => {
                                let open: Vec<usize> = (0..model.rows.len())
                                    .filter(|&at| {
                                        end_of(&model.rows[at]) + ends.lateness > model.done
                                    })
                                    .collect();
                                if open.is_empty() {
                                    continue;
                                }
                                let row = model.rows.remove(open[number % open.len()]);
                                rows.push((row, None));
                                kinds.push(kind(false, rows.len() % 2 == 0));
                            }
                        }
                    }
                    if !rows.is_empty() {
                        bench.batch(windowed(&rows, kinds));
                    }
                }
                Event::Watermark(mark) => model.done = bench.watermark(mark),
                Event::Checkpoint => bench.checkpoint(),
                Event::Trim(want) => bench.trim(want),
                Event::Restore { whole } => bench.restore(fresh(&spec), whole),
            }
            let width = spec.keys.len();
            for (kind, row) in bench.out.drain(..) {
                prop_assert!(ends.corrects() || kind == RowKind::Insert);
                let (key, result) = row.split_at(width);
                let before = match kind {
                    RowKind::Insert | RowKind::UpdateAfter => {
                        let before = folded.insert(key.to_vec(), result.to_vec());
                        prop_assert_eq!(before.is_some(), kind == RowKind::UpdateAfter);
                        continue;
                    }
                    RowKind::UpdateBefore => folded.get(key).cloned(),
                    RowKind::Delete => folded.remove(key),
                };
                prop_assert_eq!(before.as_deref(), Some(result));
            }
            let seen = if ends.early { i64::MAX } else { model.done };
            let wanted: BTreeMap<Vec<String>, Vec<String>> = model
                .results(seen)
                .into_iter()
                .map(|((key, end), row)| (key.into_iter().chain([shown_end(end)]).collect(), row))
                .collect();
            prop_assert_eq!(&folded, &wanted);
        }
        prop_assert_eq!(bench.cx.metrics.get(Counter::Late), late);
    }
}

fn row(ts: i64) -> Row {
    Row { ts, k: Some(1), int: Some(1), float: None, text: None, decimal: None, flag: None }
}

#[test]
fn windows_declare_when_they_end() {
    let spec = spec_of(&["k"], Ends::once(0));
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    let unparted = GroupAggregate { ends: Some(Ends::once(7)), ..spec };
    assert!(WindowGroup::new(&unparted, GROUPS).is_err());
}

#[test]
fn a_window_that_a_group_ahead_of_the_others_gave_out_is_not_given_again() {
    let spec = spec_of(&["k"], Ends::once(0));
    let mut bench = Bench::new(fresh(&spec));
    bench.batch(windowed(&[(row(1), None)], vec![RowKind::Insert]));
    bench.watermark(20);
    assert_eq!(bench.out.len(), 1);
    bench.restore_at(fresh(&spec), true, 3, vec![(GROUPS.range, Watermark(20))]);
    bench.batch(windowed(&[(row(2), None), (row(25), None)], vec![RowKind::Insert; 2]));
    bench.watermark(40);
    assert_eq!(bench.out.len(), 2, "that of the row that came in time");
    assert_eq!(bench.cx.metrics.get(Counter::Late), 1);
}
