//! Formats of change data capture: JSON records that say what became of a row.
//!
//! | format | a record | insert | update | delete |
//! |---|---|---|---|---|
//! | `debezium-json` | `before`, `after`, `op` | `c`, `r` | `u` | `d` |
//! | `ogg-json` | `before`, `after`, `op_type` | `I` | `U` | `D` |
//! | `maxwell-json` | `data`, `old`, `type` | `insert` | `update` | `delete` |
//! | `canal-json` | `data`, `old` (arrays), `type` | `INSERT` | `UPDATE` | `DELETE` |
//!
//! An update is read as the row before (`-U`) and the row after it (`+U`). The first two dialects
//! give both rows whole; in `old` of the others stand only the fields that changed.
//!
//! Flink 2.3 looks for a field of `old` in all rows of a record of canal; here it counts in its own.
//!
//! Written are inserts (`+I`, `+U`) and deletes (`-U`, `-D`), as Flink does: a row says nothing of
//! the one that follows it.
//!
//! Between these formats and the batches of the engine the kinds of rows are a column, the last
//! one ([`KIND`]), so that whatever selects, takes or slices rows takes their kinds along.

mod decode;
mod encode;
mod metadata;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt8Type};
use arrow::error::ArrowError;
use weir_engine::Batch;
use weir_engine::batch::RowKind;

pub(crate) use self::decode::ChangeDecoder;
pub(crate) use self::encode::ChangeEncoder;
pub(crate) use self::metadata::Known;
use super::json::JsonOptions;

/// Name of the column that holds kinds of rows.
const KIND: &str = "row kind";

/// Whose records they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Debezium.
    Debezium,
    /// Oracle GoldenGate.
    Ogg,
    /// Maxwell.
    Maxwell,
    /// Canal.
    Canal,
}

impl Dialect {
    /// All, by the names of their formats.
    pub const ALL: [(&'static str, Self); 4] = [
        ("debezium-json", Self::Debezium),
        ("ogg-json", Self::Ogg),
        ("maxwell-json", Self::Maxwell),
        ("canal-json", Self::Canal),
    ];

    /// The format's name in `'format' = '…'`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, dialect)| *dialect == self).map_or("", |(name, _)| name)
    }
}

/// The options of a format of changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeOptions {
    /// Whose records they are.
    pub dialect: Dialect,
    /// How their values are read and written.
    pub json: JsonOptions,
    /// `debezium-json.schema-include`: the record stands in `payload`, beside its schema.
    pub schema_include: bool,
    /// `canal-json.database.include`: only records whose `database` matches as a whole.
    pub database: Option<String>,
    /// `canal-json.table.include`: only records whose `table` matches as a whole.
    pub table: Option<String>,
}

/// The field behind a table's own.
pub(crate) fn kind_field() -> Field {
    Field::new(KIND, DataType::UInt8, false)
}

/// The schema with the column of kinds.
pub(crate) fn with_kind(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().cloned().chain([Arc::new(kind_field())]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn code(kind: RowKind) -> u8 {
    kind as u8
}

/// The columns of a batch, and its kinds behind them.
pub(crate) fn records_with_kinds(batch: &Batch) -> Result<RecordBatch, ArrowError> {
    let records = batch.records();
    let kinds = match batch.kinds() {
        Some(kinds) => kinds_as_column(kinds),
        None => Arc::new(UInt8Array::from_value(code(RowKind::Insert), records.num_rows())),
    };
    let columns = records.columns().iter().cloned().chain([kinds]).collect();
    RecordBatch::try_new(with_kind(records.schema_ref()), columns)
}

/// Kinds as the column that [`kinds_of`] reads.
pub(crate) fn kinds_as_column(kinds: &[RowKind]) -> ArrayRef {
    Arc::new(kinds.iter().map(|&kind| code(kind)).collect::<UInt8Array>())
}

/// The kinds that a column holds.
///
/// # Errors
/// When it is no such column, which is a bug.
pub fn kinds_of(column: &ArrayRef) -> Result<Arc<[RowKind]>, String> {
    let all = [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter, RowKind::Delete];
    let codes = column.as_primitive_opt::<UInt8Type>();
    let kind = |&of: &u8| all.into_iter().find(|kind| code(*kind) == of);
    codes
        .filter(|codes| codes.null_count() == 0)
        .and_then(|codes| codes.values().iter().map(kind).collect())
        .ok_or_else(|| "a column of row kinds holds something else; this is a bug".to_owned())
}
