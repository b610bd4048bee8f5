//! The operator against a naive model: sessions as sets of rows, merged until none touch.

use std::collections::BTreeMap;

use arrow::array::TimestampMillisecondArray;
use proptest::prelude::*;
use weir_protocol::Counter;

use crate::aggregate::testing::{Row, aggregates, expected, key_of, schema, show};
use crate::operators::session::operator::SessionRows;
use crate::operators::session::spec::SessionAggregate;
use crate::operators::session::{operator, output_schema, tables};
use crate::operators::testing::{Bench, Event, GROUPS, any_events, any_row, batch_behind};
use crate::{Operator, RowKind, Watermark};

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
        events in any_events(any_row(60), 12, 70),
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
