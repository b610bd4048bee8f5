//! Rows of segments as data, and what differs between two versions.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a failure here is the test's")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use common::*;
use weir_state::merge::Input;
use weir_state::table::rows::{Difference, difference, row_schema};
use weir_state::table::{Field, Keyed, OrderField, Ordered, RestoreError, Scalar, TableSpec};

type Model = BTreeMap<(String, i64), Option<i64>>;

fn spec() -> TableSpec {
    let key = vec![Field::new("k", DataType::Utf8, false)];
    let order = vec![OrderField::descending("at", DataType::Int64)];
    TableSpec::ordered("rows", key, order, vec![Field::new("n", DataType::Int64, true)])
}

fn places(rows: &[(String, i64)]) -> ([ArrayRef; 1], [ArrayRef; 1]) {
    let keys: StringArray = rows.iter().map(|(key, _)| Some(key)).collect();
    let orders: Int64Array = rows.iter().map(|(_, at)| Some(*at)).collect();
    ([Arc::new(keys)], [Arc::new(orders)])
}

fn put(table: &mut Ordered, model: &mut Model, rows: &[((String, i64), Option<i64>)]) {
    let (of, values): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
    let (keys, orders) = places(&of);
    let n: ArrayRef = Arc::new(values.into_iter().collect::<Int64Array>());
    table.put(&keys, &orders, &[n], of.len()).unwrap();
    model.extend(rows.iter().cloned());
}

fn remove(table: &mut Ordered, model: &mut Model, rows: &[(String, i64)]) {
    let (keys, orders) = places(rows);
    table.remove(&keys, &orders, rows.len()).unwrap();
    model.retain(|row, _| !rows.contains(row));
}

fn model_of(batches: &[RecordBatch]) -> Model {
    let mut model = Model::new();
    for rows in batches {
        let number = |column: usize| rows.column(column).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            let key = rows.column(0).as_string::<i32>().value(row).to_owned();
            let n = number(2).is_valid(row).then(|| number(2).value(row));
            assert_eq!(model.insert((key, number(1).value(row)), n), None, "a row twice");
        }
    }
    model
}

fn naive(before: &Model, after: &Model) -> Difference {
    let count = |is: &dyn Fn(&(String, i64)) -> bool, of: &Model| {
        of.keys().filter(|place| is(place)).count() as u64
    };
    let kept = |same: bool| {
        count(&|place| before.get(place).is_some_and(|n| (*n == after[place]) == same), after)
    };
    Difference {
        added: count(&|place| !before.contains_key(place), after),
        removed: count(&|place| !after.contains_key(place), before),
        changed: kept(false),
        same: kept(true),
    }
}

/// Versions of a table of some thousand rows, each with what it holds.
fn versions() -> Vec<(Vec<Input>, Model)> {
    let mut table = Ordered::new(spec(), all_groups()).unwrap();
    let (mut chain, mut model, mut versions) = (Chain::default(), Model::new(), Vec::new());
    let place = |n: i64| (format!("key {}", n % 97), n / 97);
    for version in 0..6_i64 {
        let put_now = (0..4_000).filter(|n| n % (version + 2) == 0);
        let rows: Vec<_> =
            put_now.map(|n| (place(n), (n % 5 > 0).then_some(n * version % 7))).collect();
        put(&mut table, &mut model, &rows);
        let gone: Vec<_> = (0..4_000).filter(|n| n % 11 == version).map(place).collect();
        remove(&mut table, &mut model, &gone);
        checkpoint(&mut table, &mut chain, age(version as u64 + 1));
        versions.push((chain.inputs(), model.clone()));
        if version == 3 {
            chain.compact(&spec(), range(0, 5), 0, 3, 9_000);
            versions.push((chain.inputs(), model.clone()));
        }
    }
    versions
}

#[test]
fn rows_of_each_version_are_those_that_were_written_and_not_removed() {
    for (inputs, model) in versions() {
        assert_eq!(model_of(&rows(&spec(), all_groups(), &inputs)), model);
    }
}

#[test]
fn what_differs_between_any_two_versions_is_counted() {
    let versions = versions();
    for (before, was) in &versions {
        for (after, is) in &versions {
            let found = difference(&spec(), all_groups(), before, after).unwrap();
            assert_eq!(found, naive(was, is));
        }
    }
    let nothing = difference(&spec(), all_groups(), &[], &versions[0].0).unwrap();
    assert_eq!(nothing, naive(&Model::new(), &versions[0].1));
}

#[test]
fn rows_of_an_older_schema_have_the_columns_of_the_newer_one() {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let of = |columns| TableSpec::keyed("t", vec![field("k", DataType::Int64)], columns);
    let old = of(vec![field("gone", DataType::Utf8), field("n", DataType::Int32)]);
    let added = field("new", DataType::Int64).with_default(Scalar::Integer(7));
    let new = of(vec![field("n", DataType::Int64), added]);
    let mut table = Keyed::new(old, all_groups()).unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let mut slots = Vec::new();
    table.resolve(std::slice::from_ref(&numbers), 3, &mut slots).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let narrow = arrow::compute::cast(&numbers, &DataType::Int32).unwrap();
    table.write(0, &slots, &texts).unwrap();
    table.write(1, &slots, &narrow).unwrap();
    let mut chain = Chain::default();
    checkpoint(&mut table, &mut chain, age(1));
    let mut found = Vec::new();
    for rows in rows(&new, all_groups(), &chain.inputs()) {
        let number =
            |column: usize, row| rows.column(column).as_primitive::<Int64Type>().value(row);
        found.extend((0..rows.num_rows()).map(|r| [number(0, r), number(1, r), number(2, r)]));
    }
    found.sort_unstable();
    assert_eq!(found, [[1, 1, 7], [2, 2, 7], [3, 3, 7]]);
}

#[test]
fn columns_that_are_called_alike_are_told_apart() {
    let field = |name: &str| Field::new(name, DataType::Int64, false);
    let order = vec![OrderField::ascending("a", DataType::Int64)];
    let spec = TableSpec::ordered("t", vec![field("a"), field("b")], order, vec![field("b")]);
    let schema = row_schema(&spec);
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["a", "b", "a#2", "b#2"]);
}

#[test]
fn segments_of_another_number_of_key_groups_are_refused() {
    let (inputs, _) = versions().remove(0);
    let wrong = weir_state::table::Groups { range: range(0, 4), of: 4 };
    let refused = difference(&spec(), wrong, &inputs, &[]).unwrap_err();
    assert!(matches!(refused, RestoreError::Groups { stored: GROUPS, wanted: 4, .. }));
}
