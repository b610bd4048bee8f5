use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType};

use super::*;
use crate::testing::{context, runtime, table};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Reads the splits `mine` picks, in batches, resuming from the position after every batch when
/// asked to; rows by split.
fn read(
    parts: &SourceParts,
    resume: bool,
    mine: impl Fn(usize) -> bool,
) -> BTreeMap<String, Vec<RecordBatch>> {
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let splits = io.block_on(parts.source.enumerator(None).unwrap().discover()).unwrap();
    let mut rows: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    for (_, mut split) in splits.into_iter().enumerate().filter(|(i, _)| mine(*i)) {
        let mut reader = parts.source.reader(&cx).unwrap();
        reader.add(&cx, 0, &split).unwrap();
        loop {
            match reader.poll(&mut cx).unwrap() {
                SourcePoll::Rows { records, .. } => {
                    rows.entry(split.id.clone()).or_default().push(records);
                    split.position = reader.position(0);
                    if resume {
                        reader = parts.source.reader(&cx).unwrap();
                        reader.add(&cx, 0, &split).unwrap();
                    }
                }
                SourcePoll::Finished { .. } => break,
                other @ SourcePoll::Returned { .. } => panic!("{other:?}"),
                SourcePoll::Pending => cx.clock.advance(Duration::from_millis(137)),
            }
        }
    }
    rows
}

fn joined(rows: BTreeMap<String, Vec<RecordBatch>>) -> RecordBatch {
    let batches: Vec<_> = rows.into_values().flatten().collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn flights() -> Table {
    table(
        &[
            ("connector", "datagen"),
            ("seed", "7"),
            ("rows-per-second", "1000"),
            ("number-of-rows", "10007"),
            ("scan.splits", "3"),
            ("fields.id.kind", "sequence"),
            ("fields.id.start", "5"),
            ("fields.id.end", "1000000"),
            ("fields.n.min", "-3"),
            ("fields.n.max", "3"),
            ("fields.s.length", "20"),
            ("fields.s.null-rate", "0.25"),
            ("fields.ts.max-past", "2 s"),
        ],
        &[
            ("id", DataType::Int64),
            ("n", DataType::Int32),
            ("s", DataType::Utf8),
            ("ts", TIME),
            ("d", DataType::Decimal128(10, 2)),
            ("b", DataType::Boolean),
            ("f", DataType::Float64),
        ],
    )
}

#[test]
fn a_restore_after_any_batch_makes_the_same_rows() {
    let parts = source(&flights(), &[0, 1, 2, 3, 4, 5, 6]).unwrap();
    let calm = joined(read(&parts, false, |_| true));
    assert_eq!(calm.num_rows(), 10_007);
    assert_eq!(calm, joined(read(&parts, true, |_| true)));
}

#[test]
fn rows_are_the_same_however_splits_are_dealt_out() {
    let parts = source(&flights(), &[0, 2]).unwrap();
    let all = joined(read(&parts, false, |_| true));
    let mut ids: Vec<i64> = all.column(0).as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    assert_eq!(ids, (5..10_012).collect::<Vec<_>>());
    let mut dealt = read(&parts, false, |i| i == 1);
    dealt.extend(read(&parts, true, |i| i != 1));
    assert_eq!(all, joined(dealt));
}

#[test]
fn columns_obey_their_options() {
    let parts = source(&flights(), &[1, 2, 3]).unwrap();
    let rows = joined(read(&parts, false, |_| true));
    let n = rows.column(0).as_primitive::<Int32Type>();
    let counts = (-3..=3).map(|v| n.values().iter().filter(|&&x| x == v).count());
    assert!(counts.clone().all(|c| (1200..1700).contains(&c)), "{:?}", counts.collect::<Vec<_>>());
    let s = rows.column(1).as_string::<i32>();
    assert!((2200..2800).contains(&rows.column(1).null_count()), "{}", rows.column(1).null_count());
    assert!(s.iter().flatten().all(|s| s.len() == 20));
    let ts = rows.column(2).as_primitive::<TimestampMillisecondType>();
    let (min, max) = (ts.values().iter().min().unwrap(), ts.values().iter().max().unwrap());
    assert!(*min >= SEEDED_START_MS - 2000 && *max <= SEEDED_START_MS + 10_006, "{min} {max}");
}

#[test]
fn the_rate_is_kept() {
    let parts = source(&flights(), &[0]).unwrap();
    let io = runtime();
    let mut cx = context(io.handle(), 1, 0, 1);
    let splits = io.block_on(parts.source.enumerator(None).unwrap().discover()).unwrap();
    let mut reader = parts.source.reader(&cx).unwrap();
    for (i, split) in splits.iter().enumerate() {
        reader.add(&cx, i, split).unwrap();
    }
    let mut rows = 0;
    assert!(matches!(reader.poll(&mut cx).unwrap(), SourcePoll::Pending));
    for _ in 0..20 {
        cx.clock.advance(Duration::from_millis(100));
        while let SourcePoll::Rows { records, .. } = reader.poll(&mut cx).unwrap() {
            rows += records.num_rows();
        }
    }
    assert!((1900..=2000).contains(&rows), "{rows} rows in 2 s");
}

#[test]
fn a_sequence_ends_the_table() {
    let options = [
        ("connector", "datagen"),
        ("fields.i.kind", "sequence"),
        ("fields.i.start", "1"),
        ("fields.i.end", "9"),
    ];
    let parts = source(&table(&options, &[("i", DataType::Int64)]), &[0]).unwrap();
    assert!(parts.source.is_bounded());
    assert_eq!(joined(read(&parts, false, |_| true)).num_rows(), 9);
    let parts = source(&table(&options[..1], &[("i", DataType::Int64)]), &[0]).unwrap();
    assert!(!parts.source.is_bounded());
}

#[test]
fn an_enumerator_does_not_find_its_splits_twice() {
    let parts = source(&flights(), &[0]).unwrap();
    let io = runtime();
    let mut enumerator = parts.source.enumerator(None).unwrap();
    assert_eq!(io.block_on(enumerator.discover()).unwrap().len(), 3);
    let mut again = parts.source.enumerator(Some(enumerator.snapshot())).unwrap();
    assert_eq!(io.block_on(again.discover()).unwrap(), []);
}

#[test]
fn wrong_options_are_refused_all_at_once() {
    let table = table(
        &[
            ("connector", "datagen"),
            ("rows-per-second", "0"),
            ("scan.splits", "0"),
            ("fields.a.kind", "sequence"),
            ("fields.b.min", "5"),
            ("fields.b.max", "4"),
            ("fields.c.min", "300"),
            ("fields.bb.min", "1"),
            ("fields.t.start", "today"),
        ],
        &[
            ("a", DataType::Int64),
            ("b", DataType::Int64),
            ("c", DataType::Int8),
            ("t", TIME),
            ("x", DataType::Null),
        ],
    );
    let messages: Vec<_> =
        source(&table, &[0]).err().unwrap().into_iter().map(|p| p.message).collect();
    assert_eq!(
        messages,
        [
            "column 'x': connector 'datagen' cannot make Null; use numbers, STRING, BYTES, BOOLEAN, DATE, TIME or TIMESTAMP",
            "'rows-per-second' is 0: no row would ever come; give at least 1",
            "'scan.splits' is 0; give 1 to 1024",
            "'fields.a.kind' = 'sequence' needs 'fields.a.start'",
            "'fields.a.kind' = 'sequence' needs 'fields.a.end'",
            "'fields.b.max' is 4, less than 'fields.b.min', which is 5",
            "'fields.c.min' is 300, outside of the column's type (-128 to 127)",
            "option 'fields.bb.min' is unknown for connector 'datagen'; did you mean 'fields.b.min'?",
            "'fields.t.start' is 'today'; give a timestamp such as '2024-01-01 00:00:00'",
        ]
    );
}
