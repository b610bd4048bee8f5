//! Rows per CPU-second of `GROUP BY` without windows, in process, over batches built beforehand.
//!
//! `cargo run --release -p weir-engine --example group_throughput`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_engine::aggregate::{AggregateCall, Function, InputRows, functions};
use weir_engine::operators::group::{Group, spec::GroupAggregate};
use weir_engine::{Batch, EngineError, Operator, RowKind};
use weir_protocol::KeyGroupRange;
use weir_state::table::Groups;

const ROWS: u64 = 8192;
const BATCHES: u64 = 400;

fn schema() -> SchemaRef {
    let column = |name| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![column("k"), column("v")]))
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

/// Where rows may go, each batch brings half of its rows and takes as many of the one before.
fn batch(number: u64, keys: u64, input_rows: InputRows) -> Result<Batch, EngineError> {
    let first = number * ROWS;
    let mut rows: Vec<u64> = (first..first + ROWS).collect();
    let mut kinds = None;
    if input_rows == InputRows::Retracted && number > 0 {
        let half = ROWS / 2;
        rows = (first..first + half).chain(first - ROWS..first - half).collect();
        let came = std::iter::repeat_n(RowKind::UpdateAfter, half as usize);
        let went = std::iter::repeat_n(RowKind::UpdateBefore, half as usize);
        kinds = Some(came.chain(went).collect());
    }
    let key = |row: &u64| scramble(scramble(*row) % keys) as i64;
    let value = |row: &u64| (scramble(row + 1) % 1_000) as i64;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(key))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(value))),
    ];
    Ok(Batch::new(RecordBatch::try_new(schema(), columns)?).with_kinds(kinds))
}

fn measure(
    keys: u64,
    input_rows: InputRows,
    calls: &[(Function, Option<usize>, bool)],
) -> Result<(), EngineError> {
    let aggregates = calls.iter().map(|&(function, input, distinct)| AggregateCall {
        function,
        input,
        filter: None,
        distinct,
        name: format!("{} {input:?} {distinct}", function.name()),
    });
    let spec = GroupAggregate {
        input: schema(),
        input_rows,
        keys: vec![0],
        aggregates: aggregates.collect(),
        update_before: true,
        ttl: None,
        ends: None,
    };
    let groups = Groups { range: KeyGroupRange::all(720), of: 720 };
    let mut operator = Group::new(&spec, groups)?;
    let batches =
        (0..BATCHES).map(|n| batch(n, keys, input_rows)).collect::<Result<Vec<_>, _>>()?;
    let mut out = 0;
    let start = cpu();
    for batch in &batches {
        out += operator.take_in(batch, 0)?.map_or(0, |out| out.num_rows());
    }
    let seconds = cpu() - start;
    let tables: usize = operator.tables().iter().map(|table| table.memory().total()).sum();
    let names: Vec<&str> = calls.iter().map(|(function, ..)| function.name()).collect();
    println!(
        "{input_rows:?} {keys:>8} keys, {}: {:.1} M rows/s per core, {:.1} M rows out, {:.0} MB of tables",
        names.join(", "),
        (BATCHES * ROWS) as f64 / seconds / 1e6,
        f64::from(out as u32) / 1e6,
        tables as f64 / 1e6,
    );
    Ok(())
}

fn main() -> Result<(), EngineError> {
    use functions::{COUNT, MAX, SUM};
    for input_rows in [InputRows::Appended, InputRows::Retracted] {
        for keys in [100, 10_000, 1_000_000] {
            measure(keys, input_rows, &[(COUNT, None, false), (SUM, Some(1), false)])?;
        }
        measure(10_000, input_rows, &[(MAX, Some(1), false)])?;
        measure(10_000, input_rows, &[(COUNT, Some(1), true)])?;
    }
    Ok(())
}
