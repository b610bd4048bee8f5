//! Rows that leave together against definitions: frames that reach anywhere, and places counted from
//! the end.

use proptest::prelude::*;

use super::{INT, TEXT, framed, spec};
use crate::aggregate::testing::{Row, aggregates, expected, key_of};
use crate::operators::over::operator::OverRows;
use crate::operators::over::spec::{Frame, FrameUnit, Over, OverCall, OverFunction};
use crate::operators::testing::{Bench, Event, GROUPS, any_events, any_row, batch_behind, text};
use crate::{Operator, RowKind};

fn any_frame() -> impl Strategy<Value = Frame> {
    let unit = prop::sample::select(vec![FrameUnit::Rows, FrameUnit::Range]);
    let bound = || prop::option::weighted(0.7, -3_i64..4);
    (unit, bound(), bound()).prop_map(|(unit, preceding, following)| Frame {
        unit,
        preceding,
        following,
    })
}

/// Functions that count from the end.
fn placed() -> Vec<OverCall> {
    let lead = |input, offset, default| OverFunction::Lead { input, offset, default };
    let functions = [
        lead(INT, 1, None),
        lead(TEXT, 2, Some(TEXT)),
        OverFunction::Ntile(3),
        OverFunction::PercentRank,
        OverFunction::CumeDist,
        OverFunction::RowNumber,
    ];
    let call = |(at, function): (usize, OverFunction)| OverCall {
        function,
        frame: Frame::RUNNING,
        name: format!("whole{at}"),
    };
    functions.into_iter().enumerate().map(call).collect()
}

/// The rows of a frame, of rows sorted by `int` from the highest to those that are NULL.
fn frame_of<'a>(frame: Frame, rows: &[&'a Row], at: usize) -> Vec<&'a Row> {
    let is_in = |other: usize| -> bool {
        let (here, there) = (rows[at].int, rows[other].int);
        if frame.unit == FrameUnit::Rows {
            let distance = other as i64 - at as i64;
            return frame.preceding.is_none_or(|back| distance >= -back)
                && frame.following.is_none_or(|on| distance <= on);
        }
        // Behind the row are those of lower values; NULL is the last, and near nothing else.
        let before_end = match (frame.following, here, there) {
            (None, ..) => true,
            (Some(_), None, there) => there.is_none() || at > other,
            (Some(_), Some(_), None) => false,
            (Some(on), Some(here), Some(there)) => i64::from(there) >= i64::from(here) - on,
        };
        let behind_start = match (frame.preceding, here, there) {
            (None, ..) => true,
            (Some(_), None, there) => there.is_none(),
            (Some(_), Some(_), None) => true,
            (Some(back), Some(here), Some(there)) => i64::from(there) <= i64::from(here) + back,
        };
        before_end && behind_start
    };
    (0..rows.len()).filter(|&other| is_in(other)).map(|other| rows[other]).collect()
}

fn results(spec: &Over, rows: &[&Row], at: usize) -> Vec<String> {
    let cell = |row: &Row, column: usize| text(row)[column].clone();
    let null = || "NULL".to_owned();
    let all = rows.len();
    let before = rows
        .iter()
        .filter(|r| {
            r.int.map(i64::from).unwrap_or(i64::MIN)
                > rows[at].int.map(i64::from).unwrap_or(i64::MIN)
        })
        .count();
    let equal = rows.iter().filter(|row| row.int == rows[at].int).count();
    let of = |call: &OverCall| {
        let frame = frame_of(call.frame, rows, at);
        match &call.function {
            OverFunction::RowNumber => (at + 1).to_string(),
            OverFunction::Lead { input, offset, default } => {
                match rows.get(at + *offset as usize) {
                    Some(row) => cell(row, *input),
                    None => default.map_or_else(null, |column| cell(rows[at], column)),
                }
            }
            OverFunction::Ntile(parts) => {
                let lengths = (0..*parts as usize)
                    .map(|part| all / *parts as usize + usize::from(part < all % *parts as usize));
                let mut end = 0;
                let found = lengths.into_iter().position(|length| {
                    end += length;
                    at < end
                });
                (found.unwrap() + 1).to_string()
            }
            OverFunction::PercentRank if all == 1 => "0.0".to_owned(),
            OverFunction::PercentRank => format!("{:?}", before as f64 / (all - 1) as f64),
            OverFunction::CumeDist => format!("{:?}", (before + equal) as f64 / all as f64),
            OverFunction::FirstValue(column) => frame
                .iter()
                .map(|row| cell(row, *column))
                .find(|value| value != "NULL")
                .unwrap_or_else(null),
            OverFunction::LastValue(column) => frame
                .iter()
                .rev()
                .map(|row| cell(row, *column))
                .find(|value| value != "NULL")
                .unwrap_or_else(null),
            OverFunction::Aggregate(call) => {
                let number = aggregates().iter().position(|known| known.name == call.name).unwrap();
                expected(&frame).remove(number)
            }
            OverFunction::Rank | OverFunction::DenseRank | OverFunction::Lag { .. } => {
                panic!("it needs no rows behind it")
            }
        }
    };
    spec.calls.iter().map(of).collect()
}

fn fresh(spec: &Over) -> Box<dyn Operator> {
    Box::new(OverRows::new(spec, GROUPS).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn rows_that_leave_together_have_results_over_all_of_them(
        keys in prop::sample::select(vec![vec!["k"], vec![]]),
        frame in any_frame(),
        places in any::<bool>(),
        events in any_events(any_row(1), 1, 1),
    ) {
        let calls = if places { placed() } else { framed(frame) };
        let spec = Over { at_once: true, ..spec(&keys, true, calls) };
        let mut bench = Bench::new(fresh(&spec));
        let mut all: Vec<Row> = Vec::new();
        for event in events {
            match event {
                Event::Batch(rows) => {
                    let rows: Vec<_> = rows.into_iter().map(|(row, _)| (row, None)).collect();
                    bench.batch(batch_behind(&rows));
                    all.extend(rows.into_iter().map(|(row, _)| row));
                }
                // Nothing passes before everything has come.
                Event::Watermark(_) => {}
                Event::Checkpoint => bench.checkpoint(),
                Event::Trim(want) => bench.trim(want),
                Event::Restore { whole } => bench.restore(fresh(&spec), whole),
            }
        }
        prop_assert!(bench.out.is_empty());
        bench.watermark(i64::MAX);
        let mut wanted = Vec::new();
        let mut of_keys: std::collections::BTreeMap<Vec<String>, Vec<&Row>> = Default::default();
        for row in &all {
            of_keys.entry(key_of(row, &spec.keys)).or_default().push(row);
        }
        for rows in of_keys.values_mut() {
            rows.sort_by_key(|row| row.int.map_or(i64::MAX, |int| -i64::from(int)));
            for at in 0..rows.len() {
                let row = text(rows[at]).into_iter().chain(results(&spec, rows, at));
                wanted.push(row.collect::<Vec<_>>());
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
fn what_reaches_behind_a_row_is_refused_where_rows_leave_before_others_come() {
    for call in placed().into_iter().take(5) {
        assert!(OverRows::new(&spec(&["k"], true, vec![call]), GROUPS).is_err());
    }
    let frame = Frame { unit: FrameUnit::Rows, preceding: None, following: Some(1) };
    assert!(OverRows::new(&spec(&["k"], true, framed(frame)), GROUPS).is_err());
}
