//! Tables that are asked for rows by key, rather than read from end to end.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::EngineError;
use crate::operator::Context;

/// What a table said of some keys.
#[derive(Clone, Debug)]
pub struct Found {
    /// Rows, with the columns of [`LookupSource::schema`].
    pub rows: RecordBatch,
    /// Which of the keys each of them answers: positions that do not fall. A key may have several
    /// rows, or none.
    pub of: Vec<u32>,
}

/// A table as the program names it, asked by columns that were settled when it was made.
pub trait LookupSource: Send + Sync {
    /// Columns of the rows that are found.
    fn schema(&self) -> SchemaRef;

    /// The table, for one subtask.
    ///
    /// # Errors
    /// When it cannot be set up.
    fn open(&self, cx: &Context) -> Result<Arc<dyn Lookup>, EngineError>;
}

/// A table that can be asked.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// Asks for the rows of many keys together: a column per key column, without NULLs. Runs on the
    /// I/O runtime. It may ask again by itself where something outside fails for a moment.
    ///
    /// # Errors
    /// When the table cannot be asked; that ends the attempt.
    async fn lookup(&self, keys: &[ArrayRef], rows: usize) -> Result<Found, EngineError>;

    /// The same without waiting, for whoever has all rows in memory; `None` if it would have to wait.
    /// Called on a task's thread.
    ///
    /// # Errors
    /// As [`Lookup::lookup`].
    fn at_once(&self, keys: &[ArrayRef], rows: usize) -> Result<Option<Found>, EngineError> {
        let _ = (keys, rows);
        Ok(None)
    }
}
