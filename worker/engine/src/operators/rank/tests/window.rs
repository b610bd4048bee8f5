//! Windows against a naive model: what is given out once, by definition. A row's window ends at the
//! multiple of ten above its time.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;
use weir_protocol::Counter;

use super::{any_row, sort, spec};
use crate::aggregate::InputRows;
use crate::aggregate::testing::{Row, key_of};
use crate::operators::rank::spec::TopN;
use crate::operators::rank::window::WindowRank;
use crate::operators::rank::{output_schema, tables};
use crate::operators::testing::{Bench, Event, GROUPS, any_events, batch_behind, text};
use crate::{Batch, Operator, RowKind, Watermark};

fn end_of(row: &Row) -> i64 {
    (row.ts / 10 + 1) * 10
}

/// The rows with the end of their window behind them.
fn windowed(rows: &[(Row, Option<i64>)]) -> Batch {
    let batch = batch_behind(rows);
    let ends = rows.iter().map(|(row, _)| end_of(row));
    let ends: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(ends));
    let records = batch.records();
    let columns = records.columns().iter().cloned().chain([ends]).collect();
    let schema = spec_of(Vec::new()).input;
    let records = arrow::array::RecordBatch::try_new(schema, columns).unwrap();
    batch.with_records(records).unwrap()
}

fn spec_of(keys: Vec<&str>) -> TopN {
    let plain = spec(InputRows::Appended, &keys, vec![sort("int", true, false)]);
    let end = Field::new("end", DataType::Timestamp(TimeUnit::Millisecond, None), true);
    let fields = plain.input.fields().iter().map(|f| f.as_ref().clone()).chain([end]);
    let column = plain.input.fields().len();
    TopN {
        input: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        keys: plain.keys.into_iter().chain([column]).collect(),
        window_end: Some(column),
        at_end: false,
        rank: Some("rank".to_owned()),
        ..plain
    }
}

fn fresh(spec: &TopN) -> Box<dyn Operator> {
    Box::new(WindowRank::new(spec, GROUPS).unwrap())
}

/// Rows at times of several windows.
fn any_timed() -> impl Strategy<Value = Row> {
    (0_i64..40, any_row()).prop_map(|(ts, row)| Row { ts, ..row })
}

proptest! {
    #![proptest_config(super::cases(300))]

    #[test]
    fn the_first_rows_of_a_window_leave_once_at_its_end(
        keys in prop::sample::select(vec![vec!["k"], vec![]]),
        events in any_events(any_timed(), 12, 45),
    ) {
        let spec = spec_of(keys);
        let mut bench = Bench::new(fresh(&spec));
        let mut windows: BTreeMap<(Vec<String>, i64), Vec<Row>> = BTreeMap::new();
        let (mut done, mut late) = (i64::MIN, 0);
        for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
            match event {
                Event::Batch(rows) => {
                    bench.batch(windowed(&rows));
                    for (row, by) in rows {
                        let (end, behind) = (end_of(&row), by.map(|by| row.ts + 1 + by));
                        if end <= done || behind.is_some_and(|behind| end <= behind) {
                            late += 1;
                            continue;
                        }
                        let key = key_of(&row, &spec.keys[..spec.keys.len() - 1]);
                        windows.entry((key, end)).or_default().push(row);
                    }
                }
                Event::Watermark(mark) => done = bench.watermark(mark),
                Event::Checkpoint => bench.checkpoint(),
                Event::Trim(want) => bench.trim(want),
                Event::Restore { whole } => bench.restore(fresh(&spec), whole),
            }
        }
        let mut wanted = Vec::new();
        for ((_, end), mut rows) in windows {
            rows.sort_by_key(|row| row.int.map_or(i64::MAX, |int| -i64::from(int)));
            for (rank, row) in (1..).zip(rows.iter().take(2)) {
                let end = crate::aggregate::testing::show::<TimestampMillisecondArray, _>(Some(end));
                let row = text(row).into_iter().chain([end, rank.to_string()]);
                wanted.push(row.collect::<Vec<_>>());
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
fn windows_declare_when_they_end() {
    let spec = spec_of(vec!["k"]);
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    assert_eq!(output_schema(&spec).unwrap().fields().len(), spec.input.fields().len() + 1);
    let corrected = TopN { input_rows: InputRows::Retracted, ..spec };
    assert!(WindowRank::new(&corrected, GROUPS).is_err());
}

#[test]
fn a_window_that_a_group_ahead_of_the_others_gave_out_is_not_given_again() {
    let spec = spec_of(vec!["k"]);
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
    bench.batch(windowed(&[row(1)]));
    bench.watermark(20);
    assert_eq!(bench.out.len(), 1);
    bench.restore_at(fresh(&spec), true, 3, vec![(GROUPS.range, Watermark(20))]);
    bench.batch(windowed(&[row(2), row(25)]));
    bench.watermark(40);
    assert_eq!(bench.out.len(), 2, "that of the row that came in time");
    assert_eq!(bench.cx.metrics.get(Counter::Late), 1);
}
