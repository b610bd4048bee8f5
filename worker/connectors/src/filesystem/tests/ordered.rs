//! `source.time-ordered`: the order in which files are handed out, and where each may begin.

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::TimestampMillisecondType;

use super::*;
use crate::table::FirstRow;

/// Rows may be 10 ms out of order.
const DELAY: i64 = 10;

/// A table of events whose names are in the order of time.
fn events(path: &str, format: &str) -> Table {
    let options =
        [("connector", "filesystem"), ("path", path), ("format", format), (ORDERED, "true")];
    let at = DataType::Timestamp(TimeUnit::Millisecond, None);
    let mut table = table(&options, &[("id", DataType::Int64), ("at", at)]);
    table.event_time = Some(1);
    table
}

/// As a table with a watermark gives it; `at` is the second column.
fn place(bench: &Bench) -> Place {
    let mark = |rows: &RecordBatch| {
        let at = rows.column(1).as_primitive::<TimestampMillisecondType>();
        assert_eq!(rows.num_rows(), 1, "the first row alone");
        Some(at.value(0) - DELAY)
    };
    Place { first_row: Some(FirstRow(Arc::new(mark))), ..bench.place() }
}

fn parts(bench: &Bench, table: &Table) -> SourceParts {
    source_with(table, &[0, 1], &place(bench), &bench.stores).unwrap()
}

fn splits(bench: &Bench, table: &Table) -> Vec<Split> {
    bench.splits(&parts(bench, table).source)
}

/// Names and bounds; a split begins with its bound as its watermark.
fn bounds(splits: &[Split]) -> Vec<(&str, Option<i64>)> {
    assert!(splits.iter().all(|split| split.watermark == split.lower_bound), "{splits:?}");
    splits.iter().map(|s| (s.id.rsplit('/').next().unwrap(), s.lower_bound)).collect()
}

fn rows(times: &[i64]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(0..times.len() as i64);
    let at = TimestampMillisecondArray::from(times.to_vec());
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("at", Arc::new(at) as ArrayRef),
    ])
    .unwrap()
}

fn content(format: &str, packing: &str, times: &[i64]) -> Vec<u8> {
    let rows = rows(times);
    let mut plain = Vec::new();
    let format = match format {
        "json" => Format::Json(Default::default()),
        "csv" => Format::Csv(Default::default()),
        _ => {
            let properties =
                WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
            let mut writer =
                ArrowWriter::try_new(&mut plain, rows.schema(), Some(properties)).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
            return plain;
        }
    };
    format.encoder(rows.schema()).unwrap().encode(&rows, &mut plain).unwrap();
    match packing {
        ".gz" => {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&plain).unwrap();
            packed.finish().unwrap()
        }
        ".zst" => zstd::encode_all(&plain[..], 1).unwrap(),
        _ => plain,
    }
}

#[test]
fn every_format_tells_where_its_files_begin() {
    let bench = Bench::new();
    // Far longer than what is read of a file to find its first row.
    let many: Vec<i64> = (0..60_000).map(|i| 2_000 + i * 7919 % 60_000).collect();
    for (format, packing) in [
        ("json", ""),
        ("json", ".gz"),
        ("json", ".zst"),
        ("csv", ""),
        ("csv", ".gz"),
        ("parquet", ""),
    ] {
        let folder = format!("{format}{packing}");
        let names = ["1", "2", "3"].map(|name| format!("{name}{packing}"));
        for (name, times) in names.iter().zip([&[1_000, 995][..], &many, &[90_000]]) {
            let bytes = content(format, packing, times);
            bench.write(&format!("{folder}/{name}"), &bytes);
            bench.put(&format!("{folder}/{name}"), &bytes);
        }
        let bounds_of = [Some(990), Some(1_990), Some(89_990)];
        let expected: Vec<_> = names.iter().map(String::as_str).zip(bounds_of).collect();
        for path in [folder.clone(), format!("s3://bucket/{folder}")] {
            let found = splits(&bench, &events(&path, format));
            assert_eq!(bounds(&found), expected, "{path}");
        }
    }
}

#[test]
fn names_in_the_wrong_order_are_kept_and_hold_the_bound_of_their_own_rows() {
    let bench = Bench::new();
    for (name, at) in [("part-1", 1_000), ("part-10", 10_000), ("part-2", 2_000)] {
        bench.write(&format!("in/{name}"), &content("json", "", &[at]));
    }
    let found = splits(&bench, &events("in", "json"));
    let expected = [("part-1", Some(990)), ("part-10", Some(9_990)), ("part-2", Some(1_990))];
    assert_eq!(bounds(&found), expected);
}

#[test]
fn what_cannot_be_read_begins_where_the_file_before_it_does() {
    let bench = Bench::new();
    bench.write("in/0", b"not JSON\n");
    bench.write("in/1", &content("json", "", &[1_000]));
    bench.write("in/2", b"{\"id\": 1, \"at\": \"2001-01-01\"}\n");
    bench.write("in/3", b"\n\n");
    bench.write("in/4", &content("json", "", &[4_000]));
    let source = parts(&bench, &events("in", "json")).source;
    let found = bench.splits(&source);
    let expected =
        [("0", None), ("1", Some(990)), ("2", Some(990)), ("3", Some(990)), ("4", Some(3_990))];
    assert_eq!(bounds(&found), expected);
    let why = bench.message(&source, &found[0]);
    assert!(why.starts_with("/in/0:1: "), "the reader tells: {why}");
}

#[test]
fn of_very_many_files_some_are_looked_into_and_speak_for_those_behind_them() {
    let bench = Bench::new();
    for number in 0..=4096 {
        bench.write(&format!("in/{number:04}"), &content("json", "", &[1_000 * number]));
    }
    let found = splits(&bench, &events("in", "json"));
    assert_eq!(found.len(), 4097);
    let expected = |number: i64| Some(1_000 * (number - number % 2) - DELAY);
    assert!(found.iter().zip(0..).all(|(split, number)| split.lower_bound == expected(number)));
    assert!(bounds(&found).is_sorted());
}

#[test]
fn the_option_needs_event_time_and_the_plan_says_when_windows_close() {
    let bench = Bench::new();
    let table = events("in", "json");
    let problems = source_with(&table, &[0, 1], &bench.place(), &bench.stores).err().unwrap();
    assert_eq!(problems[0].at, Some(table.options[ORDERED].at));
    assert_eq!(
        problems[0].message,
        "'source.time-ordered' has no meaning without event time; add WATERMARK FOR to the table, or remove the option"
    );

    let closes = |table: &Table| parts(&bench, table).details.remove("windows close").unwrap();
    assert!(
        closes(&table)
            .ends_with("in the order of their paths, which is declared to be that of time")
    );
    let mut plain = table;
    plain.options.get_mut(ORDERED).unwrap().value = "false".into();
    assert_eq!(
        closes(&plain),
        "when every file is read; 'source.time-ordered' = 'true' lets them close before"
    );
    plain.options.get_mut("format").unwrap().value = "parquet".into();
    assert_eq!(closes(&plain), "while files are read, from the earliest on where statistics tell");
}
