//! Windows and aggregates by definition: all rows at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::operators::window::spec::{AggregateCall, Function, Window, WindowAggregate};

use super::run::Event;

pub(super) const GROUPS: u32 = 24;

/// A row of the input; every column a test may want.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) ts: i64,
    pub(super) k: Option<i64>,
    pub(super) int: Option<i32>,
    pub(super) float: Option<f64>,
    pub(super) text: Option<String>,
    pub(super) decimal: Option<i128>,
    pub(super) flag: Option<bool>,
}

pub(super) fn schema() -> SchemaRef {
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
    ]))
}

pub(super) fn single(value: Option<f64>) -> Option<f32> {
    value.map(|v| v as f32)
}

pub(super) fn records(rows: &[Row]) -> RecordBatch {
    let decimal: Decimal128Array = rows.iter().map(|r| r.decimal).collect();
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.ts))),
            Arc::new(rows.iter().map(|r| r.k).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.int).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|r| r.float).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|r| r.text.clone()).collect::<StringArray>()),
            Arc::new(decimal.with_precision_and_scale(10, 2).unwrap()),
            Arc::new(rows.iter().map(|r| r.flag).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|r| r.int.map(big)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| single(r.float)).collect::<Float32Array>()),
            Arc::new(rows.iter().map(|r| r.int).collect::<Date32Array>()),
        ],
    )
    .unwrap()
}

pub(super) fn big(int: i32) -> i64 {
    i64::from(int).wrapping_mul(0x4000_0000_0000_0001)
}

pub(super) fn call(
    name: &str,
    function: Function,
    input: Option<&str>,
    filter: bool,
    distinct: bool,
    output: DataType,
) -> AggregateCall {
    let schema = schema();
    AggregateCall {
        function,
        input: input.map(|name| schema.index_of(name).unwrap()),
        filter: filter.then_some(6),
        distinct,
        output,
        name: name.to_owned(),
    }
}

/// Every function and type; what each gives is spelled out once more in [`expected`].
pub(super) fn aggregates() -> Vec<AggregateCall> {
    use Function::*;
    let decimal = DataType::Decimal128;
    vec![
        call("count", Count, None, false, false, DataType::Int64),
        call("count_int", Count, Some("int"), false, false, DataType::Int64),
        call("count_if", Count, None, true, false, DataType::Int64),
        call("sum_int", Sum, Some("int"), false, false, DataType::Int32),
        call("sum_big", Sum, Some("big"), true, false, DataType::Int64),
        call("sum_float", Sum, Some("float"), false, false, DataType::Float64),
        call("sum_decimal", Sum, Some("decimal"), false, false, decimal(38, 2)),
        call("avg_int", Avg, Some("int"), false, false, DataType::Int32),
        call("avg_decimal", Avg, Some("decimal"), false, false, decimal(38, 6)),
        call("min_float", Min, Some("float"), false, false, DataType::Float64),
        call("max_single", Max, Some("single"), false, false, DataType::Float32),
        call("min_text", Min, Some("text"), false, false, DataType::Utf8),
        call("max_text", Max, Some("text"), true, false, DataType::Utf8),
        call("max_decimal", Max, Some("decimal"), false, true, decimal(10, 2)),
        call("min_day", Min, Some("day"), false, false, DataType::Date32),
        call("distinct_text", Count, Some("text"), false, true, DataType::Int64),
        call("distinct_sum", Sum, Some("int"), true, true, DataType::Int32),
        call("distinct_float", Count, Some("float"), false, true, DataType::Int64),
        call("distinct_avg", Avg, Some("decimal"), false, true, decimal(38, 6)),
    ]
}

pub(super) fn shown(array: &dyn Array) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

pub(super) fn show<A: Array + FromIterator<Option<T>>, T>(value: Option<T>) -> String {
    shown(&[value].into_iter().collect::<A>()).remove(0)
}

pub(super) fn show_decimal(value: Option<i128>, scale: i8) -> String {
    let array: Decimal128Array = [value].into_iter().collect();
    shown(&array.with_precision_and_scale(38, scale).unwrap()).remove(0)
}

/// `sum · 10^4 / count`, half away from zero: the average with six digits.
pub(super) fn average(values: &[i128]) -> Option<i128> {
    let sum = values.iter().sum::<i128>() * 10_000;
    let count = values.len() as i128;
    (count > 0).then(|| (sum.abs() * 2 + count) / (count * 2) * sum.signum())
}

/// What [`aggregates`] must give over the rows of one key and window.
pub(super) fn expected(rows: &[&Row]) -> Vec<String> {
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
pub(super) fn key_of(row: &Row, keys: &[usize]) -> Vec<String> {
    let records = records(std::slice::from_ref(row));
    let normal = |text: String| {
        if text == "-0.0" { "0.0".to_owned() } else { text }
    };
    keys.iter().map(|&k| normal(shown(records.column(k)).remove(0))).collect()
}

pub(super) fn windows_of(window: Window, ts: i64) -> Vec<(i64, i64)> {
    let (size, slide, offset) = match window {
        Window::Tumble { size, offset } => (size, size, offset),
        Window::Hop { size, slide, offset } => (size, slide, offset),
    };
    let first = (ts - size - offset).div_euclid(slide);
    (first..)
        .map(|n| n * slide + offset)
        .skip_while(|start| start + size <= ts)
        .take_while(|&start| start <= ts)
        .map(|start| (start, start + size))
        .collect()
}

/// What must come out, whatever the batches, barriers and kills: the rows decide.
pub(super) fn model(
    spec: &WindowAggregate,
    sources: usize,
    events: &[Event],
) -> (Vec<Vec<String>>, u64) {
    let mut watermarks = vec![i64::MIN; sources];
    let mut cells: BTreeMap<(Vec<String>, i64, i64), Vec<&Row>> = BTreeMap::new();
    let mut late = 0;
    for event in events {
        match event {
            Event::Watermark(source, mark) => {
                watermarks[*source] = watermarks[*source].max(*mark);
            }
            Event::Data(source, rows) => {
                for row in rows {
                    let mark = watermarks[*source];
                    let all = windows_of(spec.window, row.ts);
                    let open: Vec<_> =
                        all.into_iter().filter(|w| row.ts >= mark || w.1 > mark).collect();
                    late += u64::from(open.is_empty());
                    for (start, end) in open {
                        cells.entry((key_of(row, &spec.keys), start, end)).or_default().push(row);
                    }
                }
            }
            _ => {}
        }
    }
    let mut results: Vec<Vec<String>> = cells
        .into_iter()
        .map(|((mut columns, start, end), rows)| {
            columns.extend(expected(&rows));
            let time = |ms| show::<TimestampMillisecondArray, _>(Some(ms));
            columns.extend([time(start), time(end), time(end - 1)]);
            columns
        })
        .collect();
    results.sort();
    (results, late)
}

pub(super) fn spec(window: Window, keys: &[&str]) -> WindowAggregate {
    let input = schema();
    WindowAggregate {
        time: 0,
        window,
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        aggregates: aggregates(),
        input,
    }
}
