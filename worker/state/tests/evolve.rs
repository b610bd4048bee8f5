//! Tables whose schema changed between a checkpoint and the restore.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use common::*;
use proptest::prelude::*;
use weir_state::table::{Expiry, Field, Groups, Keyed, RestoreError, Scalar, Table, TableSpec};

fn key() -> Vec<Field> {
    vec![Field::new("k", DataType::Int64, false)]
}

fn old() -> TableSpec {
    let columns = vec![
        Field::new("narrow", DataType::Int32, false),
        Field::new("gone", DataType::Utf8, true),
        Field::new("float", DataType::Float32, true),
    ];
    TableSpec::keyed("rows", key(), columns)
}

fn new() -> TableSpec {
    let columns = vec![
        Field::new("float", DataType::Float64, true),
        Field::new("added", DataType::Int64, false).with_default(Scalar::Integer(-7)),
        Field::new("narrow", DataType::Int64, false),
        Field::new("word", DataType::Utf8, false).with_default(Scalar::Text("none".into())),
        Field::new("empty", DataType::Utf8, true),
    ];
    TableSpec::keyed("rows", key(), columns)
}

fn write_old(table: &mut Keyed, keys: std::ops::Range<i64>, by: i64) {
    let rows = (keys.end - keys.start) as usize;
    let of: ArrayRef = Arc::new(keys.clone().map(Some).collect::<Int64Array>());
    let mut slots = Vec::new();
    table.resolve(&[of], rows, &mut slots).unwrap();
    let narrow: ArrayRef =
        Arc::new(keys.clone().map(|k| Some((k * by) as i32)).collect::<Int32Array>());
    let gone: ArrayRef =
        Arc::new(keys.clone().map(|k| Some(k.to_string())).collect::<StringArray>());
    let floats = keys.map(|k| (k % 3 > 0).then_some(k as f32 / 2.0));
    let floats: ArrayRef = Arc::new(floats.collect::<Float32Array>());
    for (column, values) in [narrow, gone, floats].iter().enumerate() {
        table.write(column, &slots, values).unwrap();
    }
}

fn check_new(table: &mut Keyed, keys: std::ops::Range<i64>, by: impl Fn(i64) -> i64) {
    let rows = (keys.end - keys.start) as usize;
    let of: ArrayRef = Arc::new(keys.clone().map(Some).collect::<Int64Array>());
    let mut slots = Vec::new();
    table.lookup(&[of], rows, &mut slots).unwrap();
    let columns: Vec<ArrayRef> = (0..5).map(|c| table.read(c, &slots).unwrap()).collect();
    for (row, key) in keys.enumerate() {
        let float = columns[0].as_primitive::<Float64Type>();
        let float = float.is_valid(row).then(|| float.value(row));
        assert_eq!(float, (key % 3 > 0).then_some(key as f64 / 2.0));
        assert_eq!(columns[1].as_primitive::<Int64Type>().value(row), -7);
        assert_eq!(columns[2].as_primitive::<Int64Type>().value(row), key * by(key));
        assert_eq!(columns[3].as_string::<i32>().value(row), "none");
        assert!(columns[4].is_null(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn rows_of_an_older_schema_are_read_under_the_newer_one_before_and_after_a_merge(
        rows in 1_i64..3_000, rewritten in 0_i64..3_000, cut in 0_u16..=8, size in 0_usize..40_000,
    ) {
        let rewritten = rewritten.min(rows);
        let mut table = Keyed::new(old(), all_groups()).unwrap();
        let mut chain = Chain::default();
        write_old(&mut table, 0..rows, 2);
        checkpoint(&mut table, &mut chain, age(1));
        write_old(&mut table, 0..rewritten, 3);
        checkpoint(&mut table, &mut chain, age(2));
        let by = |key| if key < rewritten { 3 } else { 2 };
        let mut restored = Keyed::restore(new(), all_groups(), &chain.inputs()).unwrap();
        check_new(&mut restored, 0..rows, by);
        // A part is merged under the new schema, the rest stays as it was.
        chain.compact(&new(), range(0, cut), 0, 2, size);
        let mut restored = Keyed::restore(new(), all_groups(), &chain.inputs()).unwrap();
        check_new(&mut restored, 0..rows, by);
        prop_assert_eq!(restored.all().count() as i64, rows);
        for (bytes, _) in &chain.segments {
            let stored = open(bytes);
            for number in 0..stored.reader().footer().blocks {
                let block = stored.block(number).unwrap();
                for row in 0..block.rows() {
                    let found = stored.find(block.prefix(row), block.key(row), &[]).unwrap();
                    prop_assert!(found.is_some(), "a filter or fence hides a row");
                }
            }
        }
    }
}

#[test]
fn a_change_that_no_row_survives_is_an_error_that_names_the_column() {
    let mut table = Keyed::new(old(), all_groups()).unwrap();
    let mut chain = Chain::default();
    write_old(&mut table, 0..10, 2);
    checkpoint(&mut table, &mut chain, age(1));
    let mut spec = old();
    spec.columns[0].data_type = DataType::Int16;
    let error = Keyed::restore(spec, all_groups(), &chain.inputs()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state of table rows cannot be taken over: column narrow was int32 and is int16; give the operator a new identity to start it without state"
    );
    let groups = Groups { of: GROUPS * 2, ..all_groups() };
    let error = Keyed::restore(old(), groups, &chain.inputs()).unwrap_err();
    assert!(matches!(error, RestoreError::Groups { stored: GROUPS, .. }), "{error}");
}

#[test]
fn a_restored_table_judges_time_as_the_one_before_did() {
    let spec = old().with_expiry(Expiry::Ttl(10));
    let mut table = Keyed::new(spec.clone(), all_groups()).unwrap();
    let mut chain = Chain::default();
    write_old(&mut table, 0..10, 2);
    table.set_clock(9);
    write_old(&mut table, 5..7, 2);
    checkpoint(&mut table, &mut chain, age(1));
    table.set_clock(10);
    write_old(&mut table, 20..21, 2);
    assert_eq!(table.all().count(), 3);
    checkpoint(&mut table, &mut chain, age(2));
    let mut restored = Keyed::restore(spec, all_groups(), &chain.inputs()).unwrap();
    // A clock that is behind does not bring rows back.
    restored.set_clock(1);
    assert_eq!(restored.all().count(), 3);
}
