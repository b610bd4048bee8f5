//! Rows with a column of every kind, aggregates over them, and what these are by definition.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{AggregateCall, Function, functions};

/// A row of the input; every column a test may want.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ts: i64,
    pub(crate) k: Option<i64>,
    pub(crate) int: Option<i32>,
    pub(crate) float: Option<f64>,
    pub(crate) text: Option<String>,
    pub(crate) decimal: Option<i128>,
    pub(crate) flag: Option<bool>,
}

pub(crate) fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("k", DataType::Int64),
        field("int", DataType::Int32),
        field("float", DataType::Float64),
        field("text", DataType::Utf8),
        field("decimal", DataType::Decimal128(10, 2)),
        field("flag", DataType::Boolean),
        field("big", DataType::Int64),
        field("single", DataType::Float32),
        field("day", DataType::Date32),
        field("list", list(&[]).data_type().clone()),
        field("row", struct_of(&[]).data_type().clone()),
        field("map", map(&[]).data_type().clone()),
    ]))
}

/// Up to two elements, which may be NULL; NULL where `int` is.
pub(crate) fn list(rows: &[Row]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for _ in 0..row.int.map_or(0, |int| int.rem_euclid(3)) {
            // What is shown of lists tells them apart.
            lists.values().append_option(row.text.as_ref().map(|text| format!("'{text}'")));
        }
        lists.append(row.int.is_some());
    }
    Arc::new(lists.finish())
}

/// Of parts that may be NULL; NULL where `flag` is.
fn struct_of(rows: &[Row]) -> ArrayRef {
    let floats: Float64Array = rows.iter().map(|row| row.float).collect();
    let list = list(rows);
    let fields = vec![
        Field::new("float", DataType::Float64, true),
        Field::new("list", list.data_type().clone(), true),
    ];
    let nulls = rows.iter().map(|row| row.flag.is_some()).collect();
    Arc::new(StructArray::new(fields.into(), vec![Arc::new(floats), list], Some(nulls)))
}

/// Of one or two entries; NULL where `decimal` is.
fn map(rows: &[Row]) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), Float64Builder::new());
    for row in rows {
        if let Some(decimal) = row.decimal {
            for key in &["a", "b"][usize::from(decimal % 2 == 0)..] {
                maps.keys().append_value(key);
                maps.values().append_option(row.float);
            }
        }
        maps.append(row.decimal.is_some()).unwrap();
    }
    Arc::new(maps.finish())
}

pub(crate) fn single(value: Option<f64>) -> Option<f32> {
    value.map(|v| v as f32)
}

pub(crate) fn records(rows: &[Row]) -> RecordBatch {
    let schema = schema();
    let columns = (0..schema.fields().len()).map(|at| column(rows, at)).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// One column of the rows.
fn column(rows: &[Row], at: usize) -> ArrayRef {
    match at {
        0 => Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.ts))),
        1 => Arc::new(rows.iter().map(|r| r.k).collect::<Int64Array>()),
        2 => Arc::new(rows.iter().map(|r| r.int).collect::<Int32Array>()),
        3 => Arc::new(rows.iter().map(|r| r.float).collect::<Float64Array>()),
        4 => Arc::new(rows.iter().map(|r| r.text.clone()).collect::<StringArray>()),
        5 => {
            let decimal: Decimal128Array = rows.iter().map(|r| r.decimal).collect();
            Arc::new(decimal.with_precision_and_scale(10, 2).unwrap())
        }
        6 => Arc::new(rows.iter().map(|r| r.flag).collect::<BooleanArray>()),
        7 => Arc::new(rows.iter().map(|r| r.int.map(big)).collect::<Int64Array>()),
        8 => Arc::new(rows.iter().map(|r| single(r.float)).collect::<Float32Array>()),
        9 => Arc::new(rows.iter().map(|r| r.int).collect::<Date32Array>()),
        10 => list(rows),
        11 => struct_of(rows),
        _ => map(rows),
    }
}

pub(crate) fn big(int: i32) -> i64 {
    i64::from(int).wrapping_mul(0x4000_0000_0000_0001)
}

pub(crate) fn call(
    name: &str,
    function: Function,
    input: Option<&str>,
    filter: bool,
    distinct: bool,
) -> AggregateCall {
    let schema = schema();
    AggregateCall {
        function,
        input: input.map(|name| schema.index_of(name).unwrap()),
        filter: filter.then_some(6),
        distinct,
        name: name.to_owned(),
    }
}

/// Every function and type; what each gives is spelled out once more in [`expected`].
pub(crate) fn aggregates() -> Vec<AggregateCall> {
    use functions::*;
    vec![
        call("count", COUNT, None, false, false),
        call("count_int", COUNT, Some("int"), false, false),
        call("count_if", COUNT, None, true, false),
        call("sum_int", SUM, Some("int"), false, false),
        call("sum_big", SUM, Some("big"), true, false),
        call("sum_float", SUM, Some("float"), false, false),
        call("sum_decimal", SUM, Some("decimal"), false, false),
        call("avg_int", AVG, Some("int"), false, false),
        call("avg_decimal", AVG, Some("decimal"), false, false),
        call("min_float", MIN, Some("float"), false, false),
        call("max_single", MAX, Some("single"), false, false),
        call("min_text", MIN, Some("text"), false, false),
        call("max_text", MAX, Some("text"), true, false),
        call("max_decimal", MAX, Some("decimal"), false, true),
        call("min_day", MIN, Some("day"), false, false),
        call("distinct_text", COUNT, Some("text"), false, true),
        call("distinct_sum", SUM, Some("int"), true, true),
        call("distinct_float", COUNT, Some("float"), false, true),
        call("distinct_avg", AVG, Some("decimal"), false, true),
    ]
}

pub(crate) fn shown(array: &dyn Array) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

pub(crate) fn show<A: Array + FromIterator<Option<T>>, T>(value: Option<T>) -> String {
    shown(&[value].into_iter().collect::<A>()).remove(0)
}

pub(crate) fn show_decimal(value: Option<i128>, scale: i8) -> String {
    let array: Decimal128Array = [value].into_iter().collect();
    shown(&array.with_precision_and_scale(38, scale).unwrap()).remove(0)
}

/// `sum · 10^4 / count`, half away from zero: the average with six digits.
pub(crate) fn average(values: &[i128]) -> Option<i128> {
    let sum = values.iter().sum::<i128>() * 10_000;
    let count = values.len() as i128;
    (count > 0).then(|| (sum.abs() * 2 + count) / (count * 2) * sum.signum())
}

/// What [`aggregates`] must give over the rows of one key and window.
pub(crate) fn expected(rows: &[&Row]) -> Vec<String> {
    let flagged: Vec<&Row> = rows.iter().copied().filter(|r| r.flag == Some(true)).collect();
    let ints: Vec<i32> = rows.iter().filter_map(|r| r.int).collect();
    let floats: Vec<f64> = rows.iter().filter_map(|r| r.float).collect();
    let decimals: Vec<i128> = rows.iter().filter_map(|r| r.decimal).collect();
    let bigs: Vec<i64> = flagged.iter().filter_map(|r| r.int.map(big)).collect();
    let texts: BTreeSet<&String> = rows.iter().filter_map(|r| r.text.as_ref()).collect();
    let distinct_ints: BTreeSet<i32> = flagged.iter().filter_map(|r| r.int).collect();
    let distinct_floats: BTreeSet<u64> =
        floats.iter().map(|&f| weir_state::canonical::float64_bits(f)).collect();
    let distinct_decimals: BTreeSet<i128> = decimals.iter().copied().collect();
    let some = |empty: bool| (!empty).then_some(());
    let wrapping = |values: &[i32]| values.iter().fold(0_i32, |a, v| a.wrapping_add(*v));
    // One zero, and NaN above everything.
    let order = |a: &f64, b: &f64| (a + 0.0).total_cmp(&(b + 0.0));
    let sum = some(floats.is_empty()).map(|()| floats.iter().fold(0.0, |a, v| a + v));
    let average_int = || ints.iter().map(|&v| i64::from(v)).sum::<i64>() / ints.len() as i64;
    vec![
        rows.len().to_string(),
        ints.len().to_string(),
        flagged.len().to_string(),
        show::<Int32Array, _>(some(ints.is_empty()).map(|()| wrapping(&ints))),
        show::<Int64Array, _>(
            some(bigs.is_empty()).map(|()| bigs.iter().fold(0_i64, |a, v| a.wrapping_add(*v))),
        ),
        show::<Float64Array, _>(sum),
        show_decimal(some(decimals.is_empty()).map(|()| decimals.iter().sum()), 2),
        show::<Int32Array, _>(some(ints.is_empty()).map(|()| average_int() as i32)),
        show_decimal(average(&decimals), 6),
        show::<Float64Array, _>(floats.iter().copied().min_by(order).map(|v| v + 0.0)),
        show::<Float32Array, _>(floats.iter().copied().max_by(order).map(|v| (v + 0.0) as f32)),
        show::<StringArray, _>(texts.first().copied()),
        show::<StringArray, _>(flagged.iter().filter_map(|r| r.text.as_ref()).max()),
        show_decimal(decimals.iter().copied().max(), 2),
        show::<Date32Array, _>(ints.iter().copied().min()),
        texts.len().to_string(),
        show::<Int32Array, _>(
            some(distinct_ints.is_empty())
                .map(|()| distinct_ints.iter().fold(0_i32, |a, v| a.wrapping_add(*v))),
        ),
        distinct_floats.len().to_string(),
        show_decimal(average(&distinct_decimals.into_iter().collect::<Vec<_>>()), 6),
    ]
}

/// The key columns' values of a row, as the result shows them.
pub(crate) fn key_of(row: &Row, keys: &[usize]) -> Vec<String> {
    let row = std::slice::from_ref(row);
    // There is one zero.
    let normal = |text: String| text.replace("-0.0", "0.0");
    keys.iter().map(|&key| normal(shown(&column(row, key)).remove(0))).collect()
}
