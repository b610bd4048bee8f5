//! Rows per CPU-second of joins over all rows, in process, over batches built beforehand.
//!
//! `cargo run --release -p weir-engine --example join_throughput`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_engine::aggregate::InputRows;
use weir_engine::operators::join::Join;
use weir_engine::operators::join::spec::{Join as Spec, JoinInput, JoinKind};
use weir_engine::{Batch, EngineError, Operator};
use weir_protocol::KeyGroupRange;
use weir_state::table::Groups;

const ROWS: u64 = 4096;
const BATCHES: u64 = 200;

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

/// Different rows; `key` gives each its key.
fn batch(number: u64, key: impl Fn(u64) -> u64) -> Result<Batch, EngineError> {
    let rows = number * ROWS..(number + 1) * ROWS;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| key(row) as i64))),
        Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64))),
    ];
    Ok(Batch::new(RecordBatch::try_new(schema(), columns)?))
}

/// Facts of the left meet dimensions of the right, each of which has one row; or two streams meet
/// whose keys have one row on either side.
fn measure(kind: JoinKind, dimensions: Option<u64>) -> Result<(), EngineError> {
    let input = |unique: bool| JoinInput {
        schema: schema(),
        rows: if unique { InputRows::Retracted } else { InputRows::Appended },
        keys: vec![0],
        unique: unique.then(|| vec![0]),
        ttl: None,
    };
    let spec = Spec {
        kind,
        left: input(false),
        right: input(dimensions.is_some()),
        null_safe: vec![false],
        condition: None,
    };
    let groups = Groups { range: KeyGroupRange::all(720), of: 720 };
    let mut operator = Join::new(&spec, groups)?;
    let mut batches = Vec::new();
    let of_left = |row: u64| scramble(dimensions.map_or(row, |of| scramble(row) % of));
    match dimensions {
        Some(of) => {
            for n in 0..of.div_ceil(ROWS) {
                batches.push((1, batch(n, scramble)?));
            }
            for n in 0..BATCHES {
                batches.push((0, batch(n, of_left)?));
            }
        }
        None => {
            for n in 0..BATCHES {
                batches.push((n as usize % 2, batch(n / 2, of_left)?));
            }
        }
    }
    let (mut rows, mut out) = (0, 0);
    let start = cpu();
    for (side, batch) in batches {
        rows += batch.num_rows();
        let mut given = operator.take_in(side, batch, 0)?;
        while let Some(more) = operator.step()? {
            given.extend(more);
        }
        out += given.iter().map(Batch::num_rows).sum::<usize>();
    }
    let seconds = cpu() - start;
    let tables: usize = operator.tables().iter().map(|table| table.memory().total()).sum();
    let what =
        dimensions.map_or_else(|| "two streams".to_owned(), |of| format!("{of:>7} dimensions"));
    println!(
        "{kind:?} {what}: {:.2} M rows/s per core, {:.1} M rows out, {:.0} MB of tables",
        rows as f64 / seconds / 1e6,
        out as f64 / 1e6,
        tables as f64 / 1e6,
    );
    Ok(())
}

fn main() -> Result<(), EngineError> {
    for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Semi] {
        for dimensions in [Some(1_000), Some(100_000), None] {
            measure(kind, dimensions)?;
        }
    }
    Ok(())
}
