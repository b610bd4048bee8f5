//! What operators do alike with the rows of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array, make_comparator,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Int64Type};
use weir_state::key_table::KeyTable;
use weir_state::sorted::Strings;
use weir_state::sorted::order::encode_orders;
use weir_state::table::{Ordered, Scan, Table};

use crate::aggregate::InputRows;
use crate::{Batch, Context, OperatorError};

/// Rows that go; `None` if none does.
pub(super) fn gone(batch: &Batch, input: InputRows) -> Result<Option<BooleanArray>, OperatorError> {
    let Some(kinds) = batch.kinds().filter(|kinds| kinds.iter().any(|kind| kind.goes())) else {
        return Ok(None);
    };
    if input == InputRows::Appended {
        return Err(OperatorError::internal(
            "an operator over rows that only come was given rows that go",
        ));
    }
    Ok(Some(kinds.iter().map(|kind| Some(kind.goes())).collect()))
}

/// These rows of each column.
pub(super) fn take_all(
    columns: &[ArrayRef],
    rows: &dyn Array,
) -> Result<Vec<ArrayRef>, OperatorError> {
    columns.iter().map(|column| Ok(take(column, rows, None)?)).collect()
}

/// Per row whether two columns hold the same. NULL is a value here.
pub(super) fn same(a: &ArrayRef, b: &ArrayRef) -> Result<BooleanBuffer, OperatorError> {
    if a.data_type().is_nested() {
        let compare = make_comparator(a, b, SortOptions::default())?;
        return Ok(BooleanBuffer::collect_bool(a.len(), |row| compare(row, row).is_eq()));
    }
    Ok(not_distinct(a, b)?.values().clone())
}

/// The keys of a batch, each once, numbered.
#[derive(Debug)]
pub(super) struct BatchKeys {
    /// Per row the number of its key.
    pub(super) numbers: Vec<u32>,
    /// The keys by their numbers.
    pub(super) keys: Vec<ArrayRef>,
    /// How many there are.
    pub(super) len: usize,
}

impl BatchKeys {
    /// Numbers the keys of a batch of this many rows; no column at all is one key.
    pub(super) fn number(columns: &[ArrayRef], rows: usize) -> Result<Self, OperatorError> {
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut table = KeyTable::new(&types).map_err(OperatorError::user)?;
        let mut numbers = Vec::new();
        table.resolve(columns, rows, &mut numbers).map_err(OperatorError::internal)?;
        let all: Vec<u32> = (0..table.len() as u32).collect();
        let keys = table.keys(&all).map_err(OperatorError::internal)?;
        Ok(Self { numbers, keys, len: all.len() })
    }
}

/// Puts rows into a table whose last order column, an `Int64`, tells rows apart that are equal in
/// the others: each behind those that are there. `numbers`: per row the number of its key. The
/// keys must be in memory.
pub(super) fn put_behind(
    table: &mut Ordered,
    numbers: &[u32],
    keys: &[ArrayRef],
    mut order: Vec<ArrayRef>,
    rows: &[ArrayRef],
) -> Result<(), OperatorError> {
    let fields = table.spec().order_fields();
    let fields = fields.get(..order.len()).unwrap_or_default();
    let mut orders = Strings::with_capacity(numbers.len(), 16);
    encode_orders(fields, &order, numbers.len(), &mut orders).map_err(OperatorError::user)?;
    let mut number_of: HashMap<(u32, &[u8]), usize> = HashMap::new();
    let (mut once, mut owners) = (Vec::new(), Vec::with_capacity(numbers.len()));
    for (row, &number) in numbers.iter().enumerate() {
        owners.push(*number_of.entry((number, orders.get(row))).or_insert_with(|| {
            once.push(row as u32);
            once.len() - 1
        }));
    }
    let once = UInt32Array::from(once);
    let mut slots = Vec::new();
    table.lookup(&take_all(keys, &once)?, once.len(), &mut slots)?;
    let edges = table.edges(&take_all(&order, &once)?, once.len())?;
    let (mut last, mut known) = (vec![None; once.len()], Vec::new());
    for (at, (&key, edge)) in slots.iter().zip(&edges).enumerate() {
        let mut scan = Scan::all(key).from(edge).to(edge).backward();
        let mut found = Vec::new();
        // Rows that are gone keep their place for a while.
        while found.is_empty() && table.scan(&mut scan, 1, &mut found) {}
        if let Some(&slot) = found.first() {
            last[at] = Some(known.len());
            known.push(slot);
        }
    }
    let arrivals = table.orders(&known)?.pop();
    let arrivals = arrivals.ok_or_else(|| OperatorError::internal("an order has no arrival"))?;
    let arrivals = arrivals.as_primitive::<Int64Type>();
    let mut next: Vec<i64> =
        last.iter().map(|last| last.map_or(0, |at| arrivals.value(at) + 1)).collect();
    let arrival = owners.into_iter().map(|owner| {
        next[owner] += 1;
        next[owner] - 1
    });
    order.push(Arc::new(Int64Array::from_iter_values(arrival)));
    Ok(table.put(keys, &order, rows, numbers.len())?)
}

/// The clock by which state expires, in seconds.
pub(super) fn now(cx: &Context) -> u32 {
    u32::try_from(cx.clock.now_ms() / 1_000).unwrap_or_default()
}
