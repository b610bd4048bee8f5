//! The operator against a naive model: sessions as sets of rows, merged until none touch.

use std::collections::BTreeMap;

use arrow::array::TimestampMillisecondArray;
use proptest::prelude::*;
use weir_protocol::Counter;

use crate::aggregate::InputRows;
use crate::aggregate::testing::{Row, aggregates, expected, key_of, schema, show};
use crate::operators::session::operator::SessionRows;
use crate::operators::session::spec::SessionAggregate;
use crate::operators::session::{operator, output_schema, tables};
use crate::operators::testing::{Bench, Event, GROUPS, any_events, any_row, batch_behind, kind};
use crate::{Operator, RowKind, Watermark};

fn spec(gap: i64, keys: &[&str]) -> SessionAggregate {
    let input = schema();
    SessionAggregate {
        input_rows: InputRows::Appended,
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        time: 0,
        gap,
        aggregates: aggregates(),
    }
}

fn fresh(spec: &SessionAggregate) -> Box<dyn Operator> {
    Box::new(SessionRows::new(spec, GROUPS).unwrap())
}

/// The rows that would be one session with a row: all that can be reached from it in steps of a gap.
fn reached(rows: &[Row], row: &Row, gap: i64) -> (Vec<Row>, Vec<Row>) {
    let (mut session, mut others) = (vec![row.clone()], rows.to_vec());
    loop {
        let near = |other: &Row| session.iter().any(|row| (row.ts - other.ts).abs() <= gap);
        let (found, left): (Vec<Row>, Vec<Row>) = others.into_iter().partition(near);
        others = left;
        if found.is_empty() {
            return (session, others);
        }
        session.extend(found);
    }
}

fn end_of(session: &[Row], gap: i64) -> i64 {
    session.iter().map(|row| row.ts).max().unwrap() + gap
}

fn result(key: &[String], session: &[Row], gap: i64) -> Vec<String> {
    results(key, session, session, gap)
}

/// The results over these of the rows that make up a session.
fn results(key: &[String], session: &[Row], there: &[Row], gap: i64) -> Vec<String> {
    let rows: Vec<&Row> = there.iter().collect();
    let wanted = expected(&rows);
    let time = |ms| show::<TimestampMillisecondArray, _>(Some(ms));
    let start = session.iter().map(|row| row.ts).min().unwrap();
    let end = end_of(session, gap);
    let bounds = [time(start), time(end), time(end - 1)];
    key.iter().cloned().chain(wanted).chain(bounds).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn sessions_leave_once_when_they_have_ended(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        gap in 1_i64..8,
        // Many rows of few times as well: then sessions begin where others have ended for them.
        events in prop_oneof![
            any_events(any_row(60), 12, 70),
            any_events(any_row(14), 12, 24),
        ],
    ) {
        let spec = spec(gap, &keys);
        let mut bench = Bench::new(fresh(&spec));
        // By key the rows of each session that was not given out.
        let mut open: BTreeMap<Vec<String>, Vec<Vec<Row>>> = BTreeMap::new();
        let (mut wanted, mut late, mut done) = (Vec::new(), 0, i64::MIN);
        for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
            match event {
                Event::Batch(rows) => {
                    bench.batch(batch_behind(&rows));
                    for (row, by) in rows {
                        let mark = by.map_or(done, |by| done.max(row.ts + 1 + by));
                        let sessions = open.entry(key_of(&row, &spec.keys)).or_default();
                        let touches = |session: &Vec<Row>| {
                            end_of(session, gap) > mark
                                && session.iter().any(|other| (other.ts - row.ts).abs() <= gap)
                        };
                        let (joined, others): (Vec<_>, Vec<_>) =
                            std::mem::take(sessions).into_iter().partition(touches);
                        *sessions = others;
                        let mut session: Vec<Row> = joined.iter().flatten().cloned().collect();
                        session.push(row);
                        if end_of(&session, gap) <= mark {
                            late += 1;
                            sessions.extend(joined);
                        } else {
                            sessions.push(session);
                        }
                    }
                }
                Event::Watermark(mark) => {
                    done = bench.watermark(mark);
                    for (key, sessions) in &mut open {
                        let (ended, left): (Vec<_>, Vec<_>) = std::mem::take(sessions)
                            .into_iter()
                            .partition(|session| end_of(session, gap) <= done);
                        *sessions = left;
                        wanted.extend(ended.iter().map(|session| result(key, session, gap)));
                    }
                }
                Event::Checkpoint => bench.checkpoint(),
                Event::Trim(want) => bench.trim(want),
                Event::Restore { whole } => bench.restore(fresh(&spec), whole),
            }
        }
        prop_assert!(bench.out.iter().all(|(kind, _)| *kind == RowKind::Insert));
        let mut given: Vec<_> = bench.out.into_iter().map(|(_, row)| row).collect();
        given.sort();
        wanted.sort();
        prop_assert_eq!(given, wanted);
        prop_assert_eq!(bench.cx.metrics.get(Counter::Late), late);
    }
}

/// What happens to sessions of rows that may go again.
#[derive(Clone, Debug)]
enum Change {
    Come(Row),
    /// One of those that are there goes: this one, counted around.
    Go(usize),
}

#[derive(Clone, Debug)]
enum Turn {
    Batch(Vec<Change>),
    Watermark(i64),
    Checkpoint,
    Restore { whole: bool },
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let change = prop_oneof![
        6 => any_row(60).prop_map(Change::Come),
        4 => any::<prop::sample::Index>().prop_map(|index| Change::Go(index.index(1_000))),
    ];
    prop_oneof![
        8 => prop::collection::vec(change, 1..12).prop_map(Turn::Batch),
        4 => (0_i64..70).prop_map(Turn::Watermark),
        2 => Just(Turn::Checkpoint),
        1 => any::<bool>().prop_map(|whole| Turn::Restore { whole }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_over_the_rows_that_are_there_when_they_end(
        gap in 1_i64..8,
        turns in prop::collection::vec(any_turn(), 1..24),
    ) {
        let spec = SessionAggregate { input_rows: InputRows::Retracted, ..spec(gap, &["k"]) };
        let mut bench = Bench::new(fresh(&spec));
        // By key the rows of sessions that are open, also those that went, and which are there.
        let mut open: BTreeMap<Vec<String>, (Vec<Row>, Vec<Row>)> = BTreeMap::new();
        let (mut wanted, mut done) = (Vec::new(), i64::MIN);
        for turn in turns.into_iter().chain([Turn::Watermark(i64::MAX)]) {
            match turn {
                Turn::Batch(changes) => {
                    let (mut rows, mut kinds) = (Vec::new(), Vec::new());
                    for change in changes {
                        match change {
                            Change::Come(row) => {
                                let (all, there) =
                                    open.entry(key_of(&row, &spec.keys)).or_default();
                                if end_of(&reached(all, &row, gap).0, gap) > done {
                                    all.push(row.clone());
                                    there.push(row.clone());
                                }
                                rows.push((row, None));
                                kinds.push(kind(true, rows.len() % 2 == 0));
                            }
                            Change::Go(number) => {
                                let many: usize =
                                    open.values().map(|(_, there)| there.len()).sum();
                                let mut number = if many == 0 { continue } else { number % many };
                                for (_, there) in open.values_mut() {
                                    if number < there.len() {
                                        rows.push((there.remove(number), None));
                                        kinds.push(kind(false, rows.len() % 2 == 0));
                                        break;
                                    }
                                    number -= there.len();
                                }
                            }
                        }
                    }
                    if !rows.is_empty() {
                        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
                        let kinds = (!inserts).then(|| kinds.into());
                        bench.batch(batch_behind(&rows).with_kinds(kinds));
                    }
                }
                Turn::Watermark(mark) => {
                    done = bench.watermark(mark);
                    for (key, (all, there)) in &mut open {
                        let (mut left, mut left_there) = (Vec::new(), Vec::new());
                        while let Some(row) = all.pop() {
                            let (session, others) = reached(all, &row, gap);
                            *all = others;
                            let of = |other: &Row| session.iter().any(|row| row.ts == other.ts);
                            let (own, rest) = std::mem::take(there).into_iter().partition(of);
                            *there = rest;
                            if end_of(&session, gap) > done {
                                left.extend(session);
                                left_there.extend::<Vec<Row>>(own);
                            } else if !own.is_empty() {
                                wanted.push(results(key, &session, &own, gap));
                            }
                        }
                        (*all, *there) = (left, left_there);
                    }
                }
                Turn::Checkpoint => bench.checkpoint(),
                Turn::Restore { whole } => bench.restore(fresh(&spec), whole),
            }
        }
        prop_assert!(bench.out.iter().all(|(kind, _)| *kind == RowKind::Insert));
        let mut given: Vec<_> = bench.out.into_iter().map(|(_, row)| row).collect();
        given.sort();
        wanted.sort();
        prop_assert_eq!(given, wanted);
    }
}

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = spec(5, &["k"]);
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    let width = 1 + spec.aggregates.len() + 3;
    assert_eq!(output_schema(&spec).unwrap().fields().len(), width);
    assert!(operator(&SessionAggregate { gap: 0, ..spec }).is_err());
}

#[test]
fn a_session_that_a_group_ahead_of_the_others_gave_out_does_not_begin_again() {
    let spec = spec(5, &["k"]);
    let mut bench = Bench::new(fresh(&spec));
    let row = |ts| {
        let row = Row {
            ts,
            k: Some(1),
            int: Some(1),
            float: None,
            text: None,
            decimal: None,
            flag: None,
        };
        (row, None)
    };
    bench.batch(batch_behind(&[row(1)]));
    bench.watermark(20);
    assert_eq!(bench.out.len(), 1);
    bench.restore_at(fresh(&spec), true, 3, vec![(GROUPS.range, Watermark(20))]);
    bench.batch(batch_behind(&[row(2), row(18)]));
    bench.watermark(40);
    assert_eq!(bench.out.len(), 2, "that of the row that came in time");
    assert_eq!(bench.cx.metrics.get(Counter::Late), 1);
}

#[test]
fn a_session_that_begins_where_another_has_ended_for_its_rows_leaves_that_as_it_is() {
    let spec = spec(10, &["k"]);
    let mut bench = Bench::new(fresh(&spec));
    let row = |ts, behind| {
        let (k, int) = (Some(1), Some(1));
        (Row { ts, k, int, float: None, text: None, decimal: None, flag: None }, behind)
    };
    // The later ones are behind 32, where the first one's session has ended: they reach down from
    // that of 32 to the same 10.
    let late = |ts: i64| row(ts, Some(31 - ts));
    bench.batch(batch_behind(&[row(10, None), row(32, None), late(22), late(12), late(10)]));
    bench.checkpoint();
    bench.restore(fresh(&spec), false);
    bench.watermark(i64::MAX);
    assert_eq!(bench.out.len(), 2, "{:?}", bench.out);
    assert_eq!(bench.cx.metrics.get(Counter::Late), 0);
}
