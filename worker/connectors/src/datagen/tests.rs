use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType};

use super::*;
use crate::table::Declared;
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
            "column 'x': connector 'datagen' cannot make Null; use numbers, STRING, BYTES, BOOLEAN, DATE, TIME, TIMESTAMP, or ROW, ARRAY, MAP and MULTISET of these",
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

fn nested() -> Table {
    let buyer = DataType::Struct(
        vec![
            Field::new("first_name", DataType::Utf8, true),
            Field::new("age", DataType::Int32, true),
        ]
        .into(),
    );
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
    let map = |value: DataType| {
        let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
        let entries = Field::new("entries", DataType::Struct(pair.into()), false);
        DataType::Map(Arc::new(entries), false)
    };
    let options = [
        ("connector", "datagen"),
        ("seed", "7"),
        ("number-of-rows", "2000"),
        ("scan.parallelism", "4"),
        ("fields.buyer.null-rate", "0.5"),
        ("fields.buyer.first_name.length", "8"),
        ("fields.buyer.age.min", "18"),
        ("fields.buyer.age.max", "19"),
        ("fields.marks.length", "5"),
        ("fields.marks.element.min", "1"),
        ("fields.marks.element.max", "6"),
        ("fields.flags.length", "20"),
        ("fields.flags.key.length", "1"),
        ("fields.flags.value.null-rate", "1"),
        ("fields.bag.element.length", "4"),
    ];
    let columns = [
        ("buyer", buyer),
        ("marks", list),
        ("flags", map(DataType::Boolean)),
        ("bag", map(DataType::Int32)),
        ("code", DataType::Utf8),
    ];
    let mut table = table(&options, &columns);
    let text = Declared::Multiset(Box::new(Declared::Plain));
    table.declared =
        vec![Declared::Plain, Declared::Plain, Declared::Plain, text, Declared::Text(7)];
    table
}

#[test]
fn rows_arrays_maps_and_multisets_are_made_of_values_with_options_of_their_own() {
    let parts = source(&nested(), &[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(parts.details["parallelism"], "the job's; 'scan.parallelism' = '4' changes nothing");
    let rows = joined(read(&parts, false, |_| true));
    assert_eq!(rows.num_rows(), 2000);
    let buyers = rows.column(0).as_struct();
    assert!((900..1100).contains(&buyers.null_count()), "{}", buyers.null_count());
    let names = buyers.column(0).as_string::<i32>();
    assert!(names.iter().flatten().all(|name| name.len() == 8));
    let ages = buyers.column(1).as_primitive::<Int32Type>();
    assert!([18, 19].iter().all(|age| ages.values().contains(age)));
    let marks = rows.column(1).as_list::<i32>();
    assert!(marks.iter().flatten().all(|marks| marks.len() == 5));
    let marks = marks.values().as_primitive::<Int32Type>();
    assert!(marks.values().iter().all(|mark| (1..=6).contains(mark)));
    let bags = rows.column(3).as_map();
    assert!(bags.keys().as_string::<i32>().iter().flatten().all(|text| text.len() == 4));
    let times = bags.values().as_primitive::<Int32Type>();
    assert!(times.values().iter().all(|times| (1..=10).contains(times)));
    assert!(rows.column(4).as_string::<i32>().iter().flatten().all(|code| code.len() == 7));
}

#[test]
fn a_made_up_map_holds_each_key_once() {
    let rows = joined(read(&source(&nested(), &[2]).unwrap(), false, |_| true));
    let flags = rows.column(0).as_map();
    for row in 0..flags.len() {
        let entries = flags.value(row);
        let keys: Vec<_> = entries.column(0).as_string::<i32>().iter().flatten().collect();
        let apart: std::collections::BTreeSet<_> = keys.iter().collect();
        // Twenty keys of one of sixteen digits.
        assert_eq!(apart.len(), keys.len(), "{keys:?}");
        assert_eq!(entries.column(1).null_count(), keys.len());
    }
    assert!(flags.keys().len() < 2000 * 16 && flags.keys().len() > 2000 * 8);
}

#[test]
fn nested_rows_are_the_same_after_a_restore() {
    let parts = source(&nested(), &[0, 1, 2, 3]).unwrap();
    assert_eq!(joined(read(&parts, false, |_| true)), joined(read(&parts, true, |_| true)));
}

#[test]
fn wrong_options_of_parts_are_refused_by_name() {
    let mut wrong = nested();
    let given = [
        ("fields.flags.key.null-rate", "0.1"),
        ("fields.marks.element.mn", "1"),
        ("fields.code.length", "8"),
        ("fields.buyer.kind", "sequence"),
        ("scan.parallelism", "0"),
    ];
    for (key, value) in given {
        let at = crate::table::Position { line: 90, column: 1 };
        wrong.options.insert(key.into(), crate::table::OptionValue { value: value.into(), at });
    }
    let messages: std::collections::BTreeSet<_> =
        source(&wrong, &[0]).err().unwrap().into_iter().map(|p| p.message).collect();
    let expected = [
        "'fields.buyer.kind' = 'sequence' needs a number or STRING column; 'buyer' is ROW<first_name STRING, age INT>",
        "'fields.code.length' is 8; give at most 7",
        "'fields.flags.key.null-rate': a key of a MAP and an element of a MULTISET is never NULL here; remove it",
        "'scan.parallelism' is 0; give a whole number from 1, or remove it",
        "option 'fields.marks.element.mn' is unknown for connector 'datagen'; did you mean 'fields.marks.element.min'?",
    ];
    for expected in expected {
        assert!(messages.contains(expected), "{expected}: {messages:#?}");
    }
}

#[test]
fn rows_of_many_empty_arrays_are_made_few_at_once() {
    let list = |of: DataType| DataType::List(Arc::new(Field::new_list_field(of, true)));
    let options = [
        ("connector", "datagen"),
        ("number-of-rows", "200"),
        ("rows-per-second", "1000000"),
        ("fields.a.length", "65536"),
        ("fields.a.element.length", "0"),
    ];
    let table = table(&options, &[("a", list(list(DataType::Int32)))]);
    let batches = read(&source(&table, &[0]).unwrap(), false, |_| true);
    let rows: Vec<usize> = batches.values().flatten().map(RecordBatch::num_rows).collect();
    assert_eq!(rows.iter().sum::<usize>(), 200);
    assert!(rows.iter().all(|&rows| rows as u64 * 65_536 * 16 <= MOST_BYTES), "{rows:?}");
}

#[test]
fn a_sequence_that_its_column_cannot_hold_is_refused() {
    let refused = |kind: DataType, declared: Declared, start: &str, end: &str| -> Vec<String> {
        let options = [
            ("connector", "datagen"),
            ("fields.n.kind", "sequence"),
            ("fields.n.start", start),
            ("fields.n.end", end),
        ];
        let mut table = table(&options, &[("n", kind)]);
        table.declared = vec![declared];
        let problems = source(&table, &[0]).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.message).collect()
    };
    let plain = |kind, start, end| refused(kind, Declared::Plain, start, end);
    assert_eq!(
        plain(DataType::Int8, "1", "300"),
        [
            "'fields.n.end' is 300, which column 'n', TINYINT, cannot hold; give another one, or declare a wider type"
        ]
    );
    assert_eq!(plain(DataType::Int16, "-40000", "3").len(), 1);
    assert_eq!(plain(DataType::Int32, "1", "3000000000").len(), 1);
    assert_eq!(plain(DataType::Decimal128(4, 2), "1", "100").len(), 1);
    let text = |end| refused(DataType::Utf8, Declared::Text(2), "1", end);
    assert_eq!(
        text("100"),
        [
            "'fields.n.end' is 100, which column 'n', text of 2 characters, cannot hold; give another one, or declare a wider type"
        ]
    );
    for (kind, start, end) in [
        (DataType::Int8, "-128", "127"),
        (DataType::Int64, "-9223372036854775808", "9223372036854775807"),
        (DataType::Decimal128(4, 2), "-99", "99"),
        (DataType::Decimal128(2, 2), "0", "0"),
        (DataType::Utf8, "-5", "1000000"),
    ] {
        assert_eq!(plain(kind.clone(), start, end), [] as [&str; 0], "{kind}");
    }
    assert_eq!(text("99"), [] as [&str; 0]);
}
