//! What operators do alike with the rows of a batch.

use arrow::array::{Array, ArrayRef, BooleanArray, make_comparator};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use weir_state::key_table::KeyTable;

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

/// The clock by which state expires, in seconds.
pub(super) fn now(cx: &Context) -> u32 {
    u32::try_from(cx.clock.now_ms() / 1_000).unwrap_or_default()
}
