//! Rows per CPU-second of MATCH_RECOGNIZE, in process, over batches built beforehand.
//!
//! `cargo run --release -p weir-engine --example pattern_throughput`

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use arrow::compute::kernels::cmp::{gt, gt_eq};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use weir_engine::env::Clock;
use weir_engine::operator::{OperatorMetrics, Waker};
use weir_engine::operators::pattern::operator;
use weir_engine::operators::pattern::spec::{
    Check, Measures, Of, Output as Column, OutputColumn, Pattern, Place, Shape, Skip, Value,
    Variable, What,
};
use weir_engine::{Batch, Context, EngineError, Output, Progress, Watermark};
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, Term};

const ROWS: u64 = 8192;
const BATCHES: u64 = 200;
/// Event time between two rows, in milliseconds.
const STEP: u64 = 1;
const VALUE: usize = 2;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

/// CPU time of this thread in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    ns.map_or(0.0, |ns| ns / 1e9)
}

fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
    (n ^ (n >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D)
}

fn batch(number: u64, keys: u64) -> Result<Batch, EngineError> {
    let rows = number * ROWS..(number + 1) * ROWS;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from_iter_values(
            rows.clone().map(|row| (row * STEP) as i64),
        )),
        Arc::new(Int64Array::from_iter_values(
            rows.clone().map(|row| (scramble(row) % keys) as i64),
        )),
        Arc::new(Int64Array::from_iter_values(rows.map(|row| (scramble(row + 1) % 1_000) as i64))),
    ];
    Ok(Batch::new(RecordBatch::try_new(schema(), columns)?))
}

fn value(of: Of, last: bool, offset: u32) -> Value {
    let place = Place { of, last, offset, shift: 0, whole: false };
    Value::Row { what: What::Column(VALUE), place }
}

/// At least so much; looks at the row alone.
fn at_least(least: i64) -> Check {
    let test =
        move |values: &RecordBatch| Ok(gt_eq(values.column(0), &Int64Array::new_scalar(least))?);
    Check { values: vec![value(Of::All, true, 0)], may_fail: false, test: Arc::new(test) }
}

/// More than the variable's row before, if there is one; looks at the match.
fn rises(variable: usize) -> Check {
    let own = Of::Variables(vec![variable]);
    let test = |values: &RecordBatch| {
        let before = values.column(1).as_primitive::<Int64Type>();
        let rises = gt(values.column(0), before)?;
        Ok(rises.iter().map(|rises| Some(rises.unwrap_or(true))).collect::<BooleanArray>())
    };
    let values = vec![value(Of::All, true, 0), value(own, true, 1)];
    Check { values, may_fail: false, test: Arc::new(test) }
}

fn one(variable: usize) -> Shape {
    Shape::Variable { variable, excluded: false }
}

fn pattern(checks: Vec<Vec<Check>>, shape: Shape, skip: Skip, within: Option<i64>) -> Pattern {
    let names = ["A", "B", "C"];
    let variable =
        |(name, checks): (&&str, Vec<Check>)| Variable { name: (*name).to_owned(), checks };
    let measures = Measures {
        values: vec![value(Of::All, false, 0), value(Of::All, true, 0)],
        fields: ["first", "last"].map(|name| Field::new(name, DataType::Int64, true)).into(),
        compute: Arc::new(|values| Ok(values.columns().to_vec())),
    };
    let output =
        [("k", Column::Input(1)), ("first", Column::Measure(0)), ("last", Column::Measure(1))];
    Pattern {
        input: schema(),
        keys: vec![1],
        time: 0,
        order: Vec::new(),
        variables: names.iter().zip(checks).map(variable).collect(),
        shape,
        skip,
        within,
        measures,
        all_rows: false,
        output: output.map(|(name, of)| OutputColumn { name: name.to_owned(), of }).into(),
    }
}

fn measure(what: &str, spec: &Pattern, keys: u64, batches: u64) -> Result<(), EngineError> {
    let io =
        tokio::runtime::Builder::new_current_thread().build().map_err(EngineError::internal)?;
    let mut cx = Context {
        uid: OperatorUid::from("measured"),
        name: "measured".into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 720,
        key_groups: KeyGroupRange::all(720),
        term: Term(1),
        clock: Clock::manual(0),
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    };
    let mut operator = operator(spec)?.create(&cx)?;
    let all = (0..batches).map(|n| batch(n, keys)).collect::<Result<Vec<_>, _>>()?;
    let (mut out, mut matches) = (Output::default(), 0);
    let start = cpu();
    for (number, batch) in (1..).zip(all) {
        operator.keys_of(0, &batch)?;
        let _ = operator.on_batch(&mut cx, 0, batch, &mut out)?;
        let mark = Watermark((number * ROWS * STEP) as i64);
        let mut progress = operator.on_watermark(&mut cx, mark, &mut out)?;
        while progress == Progress::More {
            operator.keys_to_resume()?;
            progress = operator.resume(&mut cx, &mut out)?;
        }
        matches += out.take().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>();
    }
    let seconds = cpu() - start;
    let tables: usize = operator.tables().iter().map(|table| table.memory().total()).sum();
    println!(
        "{what}, {keys} keys: {:.2} M rows/s per core, {matches} matches, {:.0} MB of tables",
        (batches * ROWS) as f64 / seconds / 1e6,
        tables as f64 / 1e6,
    );
    Ok(())
}

fn main() -> Result<(), EngineError> {
    let plus =
        |of: Shape| Shape::Repeat { of: Box::new(of), least: 1, most: None, reluctant: false };
    let shape = || Shape::Sequence(vec![one(0), plus(one(1)), one(2)]);
    let alone = || vec![vec![at_least(500)], vec![at_least(300)], Vec::new()];
    let rising = || vec![vec![at_least(100)], vec![at_least(100), rises(1)], Vec::new()];
    for keys in [100, 10_000, 100_000] {
        let spec = pattern(alone(), shape(), Skip::PastLastRow, Some(3_600_000));
        measure("conditions on rows", &spec, keys, BATCHES)?;
        let spec = pattern(alone(), shape(), Skip::ToNextRow, Some(3_600_000));
        measure("conditions on rows, to the next row", &spec, keys, BATCHES)?;
        let spec = pattern(rising(), shape(), Skip::PastLastRow, Some(3_600_000));
        measure("conditions on the match", &spec, keys, BATCHES)?;
    }
    // One partial match that takes every row and stays open.
    let open =
        pattern(vec![vec![], vec![], vec![at_least(2_000)]], shape(), Skip::PastLastRow, None);
    for batches in [10, 20, 40] {
        measure(&format!("a match that stays open, {batches} watermarks"), &open, 1, batches)?;
    }
    Ok(())
}
