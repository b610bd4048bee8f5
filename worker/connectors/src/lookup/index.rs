//! The rows of a table in memory, by key.

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use parking_lot::Mutex;
use weir_engine::EngineError;
use weir_engine::lookup::Found;
use weir_state::key_table::{ABSENT, KeyTable};

/// Rows that are found by some of their columns.
#[derive(Debug)]
pub(super) struct Indexed {
    keys: Mutex<KeyTable>,
    /// The rows of one key stand together; of key n from `starts[n]` on.
    rows: RecordBatch,
    starts: Vec<u32>,
}

fn unsupported(error: impl std::fmt::Display) -> EngineError {
    EngineError::user(format!("a lookup is by a column of a type that it cannot be by: {error}"))
}

impl Indexed {
    /// Rows with a NULL in a key are left out: nothing finds them.
    pub(super) fn new(
        schema: &SchemaRef,
        batches: &[RecordBatch],
        keys: &[usize],
    ) -> Result<Self, EngineError> {
        let all = concat_batches(schema, batches)?;
        let columns: Vec<ArrayRef> = keys.iter().map(|&key| all.column(key).clone()).collect();
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut table = KeyTable::new(&types).map_err(unsupported)?;
        let mut numbers = Vec::new();
        table.resolve(&columns, all.num_rows(), &mut numbers).map_err(unsupported)?;
        let whole = |row: &u32| columns.iter().all(|column| column.is_valid(*row as usize));
        let mut order: Vec<u32> = (0..all.num_rows() as u32).filter(whole).collect();
        order.sort_by_key(|&row| numbers[row as usize]);
        let mut starts = vec![0; table.len() + 1];
        for &row in &order {
            starts[numbers[row as usize] as usize + 1] += 1;
        }
        for number in 0..table.len() {
            starts[number + 1] += starts[number];
        }
        let rows = take_record_batch(&all, &UInt32Array::from(order))?;
        Ok(Self { keys: Mutex::new(table), rows, starts })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// The rows of keys, in the order in which they were read.
    pub(super) fn find(&self, keys: &[ArrayRef], rows: usize) -> Result<Found, EngineError> {
        let mut slots = Vec::new();
        self.keys.lock().lookup(keys, rows, &mut slots).map_err(unsupported)?;
        let (mut found, mut of) = (Vec::new(), Vec::new());
        for (key, &slot) in (0..).zip(&slots) {
            if slot == ABSENT {
                continue;
            }
            for row in self.starts[slot as usize]..self.starts[slot as usize + 1] {
                found.push(row);
                of.push(key);
            }
        }
        Ok(Found { rows: take_record_batch(&self.rows, &UInt32Array::from(found))?, of })
    }
}
