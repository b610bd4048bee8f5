//! The operator against a naive model: sessions as sets of rows, merged until none touch.

use std::collections::BTreeMap;

use arrow::array::TimestampMillisecondArray;
use proptest::prelude::*;
use weir_protocol::Counter;

use crate::aggregate::testing::{Row, aggregates, expected, key_of, schema, show};
use crate::operators::session::operator::SessionRows;
use crate::operators::session::spec::SessionAggregate;
use crate::operators::session::{operator, output_schema, tables};
use crate::operators::testing::{Bench, GROUPS, batch_behind};
use crate::{Operator, RowKind};

fn spec(gap: i64, keys: &[&str]) -> SessionAggregate {
    let input = schema();
    let aggregates = aggregates().into_iter().filter(|call| !call.name.contains("distinct"));
    SessionAggregate {
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        time: 0,
        gap,
        aggregates: aggregates.collect(),
    }
}

#[derive(Clone, Debug)]
enum Event {
    Batch(Vec<(Row, Option<i64>)>),
    Watermark(i64),
    Checkpoint,
    Trim(usize),
    Restore { whole: bool },
}

fn any_row() -> impl Strategy<Value = Row> {
    (
        0_i64..60,
        prop::option::weighted(0.9, 0_i64..2),
        prop::option::weighted(0.8, -2_i32..3),
        prop::option::weighted(0.8, (-4_i32..4).prop_map(|v| f64::from(v) / 2.0)),
        prop::option::of("[a-c]{1,2}|a long text that no view holds by itself"),
        prop::option::of(-20_i128..20),
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

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let row = (any_row(), prop::option::weighted(0.15, 0_i64..12));
    let event = prop_oneof![
        8 => prop::collection::vec(row, 1..10).prop_map(Event::Batch),
        3 => (0_i64..70).prop_map(Event::Watermark),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ];
    prop::collection::vec(event, 1..24)
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
    let rows: Vec<&Row> = session.iter().collect();
    let all = expected(&rows);
    let names = aggregates();
    let wanted = names.iter().zip(all).filter(|(call, _)| !call.name.contains("distinct"));
    let time = |ms| show::<TimestampMillisecondArray, _>(Some(ms));
    let start = session.iter().map(|row| row.ts).min().unwrap();
    let end = end_of(session, gap);
    let bounds = [time(start), time(end), time(end - 1)];
    key.iter().cloned().chain(wanted.map(|(_, value)| value)).chain(bounds).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn sessions_leave_once_when_they_have_ended(
        keys in prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]]),
        gap in 1_i64..8,
        events in any_events(),
    ) {
        let spec = spec(gap, &keys);
        let mut bench = Bench::new(fresh(&spec));
        // By key the rows of sessions that are open.
        let mut open: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
        let (mut wanted, mut late, mut done) = (Vec::new(), 0, i64::MIN);
        for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
            match event {
                Event::Batch(rows) => {
                    bench.batch(batch_behind(&rows));
                    for (row, by) in rows {
                        let mark = by.map_or(done, |by| done.max(row.ts + 1 + by));
                        let rows = open.entry(key_of(&row, &spec.keys)).or_default();
                        let (session, _) = reached(rows, &row, gap);
                        if end_of(&session, gap) <= mark {
                            late += 1;
                        } else {
                            rows.push(row);
                        }
                    }
                }
                Event::Watermark(mark) => {
                    done = bench.watermark(mark);
                    for (key, rows) in &mut open {
                        let mut left = Vec::new();
                        while let Some(row) = rows.pop() {
                            let (session, others) = reached(rows, &row, gap);
                            *rows = others;
                            if end_of(&session, gap) <= done {
                                wanted.push(result(key, &session, gap));
                            } else {
                                left.extend(session);
                            }
                        }
                        *rows = left;
                    }
                }
                Event::Checkpoint => bench.checkpoint(),
                Event::Trim(want) => bench.trim(want),
                Event::Restore { whole } => {
                    bench.restore(fresh(&spec), whole);
                    // As the engine does: the watermark at the cut comes again.
                    if done > i64::MIN {
                        bench.watermark(done);
                    }
                }
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

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = spec(5, &["k"]);
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    let width = 1 + spec.aggregates.len() + 3;
    assert_eq!(output_schema(&spec).unwrap().fields().len(), width);
    assert!(operator(&SessionAggregate { gap: 0, ..spec }).is_err());
}
