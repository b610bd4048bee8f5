//! The operators against naive models.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_protocol::Counter;

use crate::aggregate::testing::{Row, key_of, schema};
use crate::operators::dedup::first::First;
use crate::operators::dedup::latest::Latest;
use crate::operators::dedup::spec::{Dedup, Keep};
use crate::operators::dedup::{operator, tables};
use crate::operators::testing::{Bench, Event, GROUPS, any_events, batch_behind, text};
use crate::{Operator, RowKind};

fn spec(keep: Keep, keys: &[&str]) -> Dedup {
    let input = schema();
    let keys = keys.iter().map(|k| input.index_of(k).unwrap()).collect();
    Dedup { keys, input, time: (keep != Keep::Newest).then_some(0), keep, ttl: None }
}

fn any_row() -> impl Strategy<Value = Row> {
    (0_i64..30, prop::option::weighted(0.9, -1_i64..3), 0_i32..4, prop::option::of("[a-c]{1,20}"))
        .prop_map(|(ts, k, int, text)| Row {
            ts,
            k,
            int: Some(int),
            float: None,
            text,
            decimal: None,
            flag: Some(int % 2 == 0),
        })
}

struct Run {
    spec: Dedup,
    bench: Bench,
}

fn fresh(spec: &Dedup) -> Box<dyn Operator> {
    match spec.keep {
        Keep::First => Box::new(First::new(spec, GROUPS).unwrap()),
        Keep::Last | Keep::Newest => Box::new(Latest::new(spec, GROUPS).unwrap()),
    }
}

impl Run {
    fn new(spec: Dedup) -> Self {
        Self { bench: Bench::new(fresh(&spec)), spec }
    }

    fn on(&mut self, event: &Event) {
        match event {
            Event::Batch(rows) => self.batch(rows),
            Event::Watermark(mark) => drop(self.bench.watermark(*mark)),
            Event::Checkpoint => self.bench.checkpoint(),
            Event::Trim(want) => self.bench.trim(*want),
            Event::Restore { whole } => self.bench.restore(fresh(&self.spec), *whole),
        }
    }

    fn batch(&mut self, rows: &[(Row, Option<i64>)]) {
        self.bench.batch(batch_behind(rows));
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn the_first_row_of_a_key_leaves_once_when_the_watermark_has_passed_it(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        events in any_events(any_row(), 3, 32),
    ) {
        let mut run = Run::new(spec(Keep::First, &keys));
        // By key: what waits, or that it was given.
        let mut model: BTreeMap<Vec<String>, Option<Row>> = BTreeMap::new();
        let (mut wanted, mut late, mut passed) = (Vec::new(), 0, i64::MIN);
        for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
            run.on(&event);
            match event {
                Event::Batch(rows) => for (row, by) in rows {
                    if by.is_some_and(|by| by > 0) {
                        late += 1;
                        continue;
                    }
                    let key = key_of(&row, &run.spec.keys);
                    match model.get_mut(&key) {
                        None => drop(model.insert(key, Some(row))),
                        Some(Some(known)) if row.ts < known.ts => *known = row,
                        Some(_) => {}
                    }
                },
                Event::Watermark(mark) => {
                    passed = passed.max(mark);
                    for waiting in model.values_mut() {
                        if waiting.as_ref().is_some_and(|row| row.ts < passed) {
                            wanted.push(text(&waiting.take().unwrap()));
                        }
                    }
                }
                _ => {}
            }
            let mut given: Vec<_> = run.bench.out.iter().map(|(_, row)| row.clone()).collect();
            given.sort();
            wanted.sort();
            prop_assert_eq!(&given, &wanted);
        }
        prop_assert!(run.bench.out.iter().all(|(kind, _)| *kind == RowKind::Insert));
        prop_assert_eq!(run.bench.cx.metrics.get(Counter::Late), late);
    }

    #[test]
    fn the_last_row_of_a_key_corrects_the_one_before(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        events in any_events(any_row(), 3, 32),
    ) {
        let mut run = Run::new(spec(Keep::Last, &keys));
        let mut model: BTreeMap<Vec<String>, Row> = BTreeMap::new();
        let mut folded: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        for event in events {
            run.on(&event);
            if let Event::Batch(rows) = event {
                for (row, _) in rows {
                    let key = key_of(&row, &run.spec.keys);
                    if model.get(&key).is_none_or(|known| row.ts >= known.ts) {
                        model.insert(key, row);
                    }
                }
            }
            for (kind, row) in run.bench.out.drain(..) {
                let comes = matches!(kind, RowKind::Insert | RowKind::UpdateAfter);
                let count = folded.entry(row).or_default();
                *count += if comes { 1 } else { -1 };
                prop_assert!(*count >= 0);
            }
            folded.retain(|_, count| *count != 0);
            let wanted: BTreeMap<_, _> = model.values().map(|row| (text(row), 1)).collect();
            prop_assert_eq!(&folded, &wanted);
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    // A row whose time is 0 or 1 goes; of it only the key counts.
    #[test]
    fn the_newest_row_of_a_key_is_there_until_one_of_its_key_goes(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        events in any_events(any_row().prop_map(|row| Row { ts: row.ts % 6, ..row }), 3, 32),
    ) {
        let mut run = Run::new(spec(Keep::Newest, &keys));
        let mut model: BTreeMap<Vec<String>, Row> = BTreeMap::new();
        let mut folded: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        for event in events {
            let Event::Batch(rows) = event else { run.on(&event); continue };
            let goes = |row: &Row| row.ts < 2;
            let kind = |(row, _): &(Row, Option<i64>)| match goes(row) {
                true => RowKind::Delete,
                false => RowKind::Insert,
            };
            let kinds: Vec<RowKind> = rows.iter().map(kind).collect();
            run.bench.batch(batch_behind(&rows).with_kinds(Some(kinds.into())));
            for (row, _) in rows {
                let key = key_of(&row, &run.spec.keys);
                match goes(&row) {
                    true => drop(model.remove(&key)),
                    false => drop(model.insert(key, row)),
                }
            }
            for (kind, row) in run.bench.out.drain(..) {
                let comes = matches!(kind, RowKind::Insert | RowKind::UpdateAfter);
                let count = folded.entry(row).or_default();
                *count += if comes { 1 } else { -1 };
                prop_assert!(*count >= 0);
            }
            folded.retain(|_, count| *count != 0);
            let wanted: BTreeMap<_, _> = model.values().map(|row| (text(row), 1)).collect();
            prop_assert_eq!(&folded, &wanted);
        }
    }
}

fn row(ts: i64, int: i32) -> Row {
    Row { ts, k: Some(1), int: Some(int), float: None, text: None, decimal: None, flag: None }
}

fn kinds(run: &mut Run) -> Vec<(RowKind, String)> {
    run.bench.out.drain(..).map(|(kind, row)| (kind, row[2].clone())).collect()
}

#[test]
fn of_rows_of_one_time_the_last_counts_or_the_first() {
    let rows = [(row(5, 1), None), (row(5, 2), None)];
    let mut run = Run::new(spec(Keep::Last, &["k"]));
    run.batch(&rows);
    run.batch(&[(row(5, 3), None), (row(4, 4), None)]);
    let three = [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter];
    let values = ["2", "2", "3"].map(ToOwned::to_owned);
    assert_eq!(kinds(&mut run), three.into_iter().zip(values).collect::<Vec<_>>());
    let mut run = Run::new(spec(Keep::First, &["k"]));
    run.batch(&rows);
    run.bench.watermark(5);
    assert_eq!(kinds(&mut run), []);
    run.bench.watermark(6);
    assert_eq!(kinds(&mut run), [(RowKind::Insert, "1".to_owned())]);
}

#[test]
fn a_row_that_is_the_same_is_not_sent_again() {
    let mut run = Run::new(spec(Keep::Last, &["k"]));
    run.batch(&[(row(5, 1), None)]);
    run.batch(&[(row(5, 1), None)]);
    assert_eq!(kinds(&mut run), [(RowKind::Insert, "1".to_owned())]);
}

#[test]
fn what_is_declared_is_what_the_operators_have() {
    for keep in [Keep::First, Keep::Last, Keep::Newest] {
        let spec = spec(keep, &["k"]);
        let declared: Vec<_> =
            fresh(&spec).tables().iter().map(|table| table.spec().clone()).collect();
        assert_eq!(declared, tables(&spec).unwrap());
        assert!(operator(&Dedup { time: Some(1), ..spec }).is_err(), "k is no event time");
    }
}
