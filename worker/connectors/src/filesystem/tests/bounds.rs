//! Earliest event times, as the enumerator gives them.

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::{Field, Schema};

use super::*;

/// A Parquet file with a row group for each list of times, in microseconds.
fn file(groups: &[&[i64]]) -> Vec<u8> {
    let at = DataType::Timestamp(TimeUnit::Microsecond, None);
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("at", at, true),
    ]));
    let mut writer = ParquetRows::new(&schema, &ParquetOptions::default()).unwrap();
    for times in groups {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..times.len() as i64));
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times.to_vec()));
        writer.write(&RecordBatch::try_new(schema.clone(), vec![ids, at]).unwrap()).unwrap();
        writer.close_row_group().unwrap();
    }
    writer.finish().unwrap()
}

/// A table of such files with `at` as its event time.
fn events(path: &str, options: &[(&str, &str)]) -> Table {
    let common = [("connector", "filesystem"), ("path", path), ("format", "parquet")];
    let at = DataType::Timestamp(TimeUnit::Millisecond, None);
    let columns = [("source", DataType::Utf8), ("id", DataType::Int64), ("at", at)];
    let mut table = table(&[&common, options].concat(), &columns);
    table.metadata.insert(0, "file.path".to_owned());
    table.event_time = Some(2);
    table
}

fn bounds(splits: &[Split]) -> Vec<(&str, Option<i64>)> {
    splits.iter().map(|s| (s.id.rsplit('/').next().unwrap(), s.lower_bound)).collect()
}

#[test]
fn files_come_with_their_earliest_event_time_and_from_the_earliest_on() {
    let bench = Bench::new();
    let late: &[&[i64]] = &[&[9_000_500, 8_000_999], &[7_000_999, 30_000_000]];
    for (name, groups) in [("b", late), ("a", &[&[40_000_000]]), ("c", &[&[-1, 5]])] {
        bench.write(&format!("in/{name}"), &file(groups));
        bench.put(&format!("in/{name}"), &file(groups));
    }
    let expected = [("c", Some(-1)), ("b", Some(7_000)), ("a", Some(40_000))];
    for path in ["in", "s3://bucket/in"] {
        let source = bench.source(&events(path, &[]));
        let splits = bench.splits(&source);
        assert_eq!(bounds(&splits), expected, "{path}");
        for split in &splits {
            let bound = split.lower_bound.unwrap();
            let rows = joined(&bench.read(&source, split, |_, _| {}).unwrap());
            let at = rows.column(2);
            let at = at.as_primitive::<arrow::datatypes::TimestampMillisecondType>();
            assert!(at.values().iter().all(|at| *at >= bound), "{bound}: {at:?}");
        }
    }
}

#[test]
fn the_bound_does_not_depend_on_which_columns_are_read() {
    let bench = Bench::new();
    bench.write("in/a", &file(&[&[2_000, 1_000]]));
    let parts = source_with(&events("in", &[]), &[1], &bench.place(), &bench.stores).unwrap();
    assert_eq!(bounds(&bench.splits(&parts.source)), [("a", Some(1))]);
}

#[test]
fn what_cannot_be_known_is_left_open_and_read_first() {
    let bench = Bench::new();
    bench.write("in/a", &file(&[&[1_000]]));
    bench.write("in/damaged", b"PAR1 is not enough");
    bench.write("in/empty", &file(&[]));
    bench.write("in/nulls", &{
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let mut writer = ParquetRows::new(&rows.schema(), &ParquetOptions::default()).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap()
    });
    let source = bench.source(&events("in", &[]));
    let splits = bench.splits(&source);
    assert_eq!(bounds(&splits), [("damaged", None), ("nulls", None), ("a", Some(1))]);
    let why = bench.message(&source, &splits[0]);
    assert!(why.starts_with("/in/damaged: "), "the reader tells: {why}");
}

#[test]
fn nothing_is_looked_up_without_an_event_time_in_the_files() {
    let bench = Bench::new();
    for name in ["b", "a"] {
        bench.write(&format!("in/{name}"), &file(&[&[1_000]]));
    }
    let unbound = [("a", None), ("b", None)];
    let mut none = events("in", &[]);
    none.event_time = None;
    assert_eq!(bounds(&bench.splits(&bench.source(&none))), unbound);
    let mut of_directory = events("in", &[]);
    of_directory.partitioned_by = vec![2];
    assert_eq!(bounds(&bench.splits(&bench.source(&of_directory))), unbound);
    let mut lines = events("in", &[]);
    lines.options.get_mut("format").unwrap().value = "json".into();
    assert_eq!(bounds(&bench.splits(&bench.source(&lines))), unbound);
}

#[test]
fn files_that_a_watched_directory_gains_come_with_theirs() {
    let bench = Bench::new();
    bench.write("in/a", &file(&[&[5_000]]));
    let source = bench.source(&events("in", &[("source.monitor-interval", "1 s")]));
    let mut enumerator = source.enumerator(None).unwrap();
    assert_eq!(bounds(&bench.discover(&mut enumerator).unwrap()), [("a", Some(5))]);
    bench.write("in/c", &file(&[&[6_000]]));
    bench.write("in/b", &file(&[&[7_000]]));
    let more = bench.discover(&mut enumerator).unwrap();
    assert_eq!(bounds(&more), [("c", Some(6)), ("b", Some(7))]);
}

#[test]
fn of_more_files_than_can_be_asked_none_is() {
    let bench = Bench::new();
    let one = file(&[&[1_000]]);
    for number in 0..=4096 {
        bench.write(&format!("in/{number:04}"), &one);
    }
    let splits = bench.splits(&bench.source(&events("in", &[])));
    assert_eq!(splits.len(), 4097);
    assert!(splits.iter().all(|split| split.lower_bound.is_none()));
    assert!(splits.is_sorted_by_key(|split| &split.id));
    fs::remove_file(bench.path("in/0000")).unwrap();
    let splits = bench.splits(&bench.source(&events("in", &[])));
    assert!(splits.iter().all(|split| split.lower_bound == Some(1)));
    assert!(splits.is_sorted_by_key(|split| &split.id), "ties keep the order of paths");
}
