//! Rows → records of changes.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_engine::batch::RowKind;

use super::{Dialect, kinds_of};
use crate::formats::json::{JsonEncoder, JsonOptions};
use crate::formats::{EncodeError, RecordEncoder};

/// Writes each row with what becomes of it; the kinds are the last column.
pub(crate) struct ChangeEncoder {
    dialect: Dialect,
    row: JsonEncoder,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ChangeEncoder {
    /// Of rows with these columns, to which kinds are added.
    ///
    /// # Errors
    /// When a column cannot be written as JSON; the message names it.
    pub(crate) fn new(
        schema: SchemaRef,
        dialect: Dialect,
        json: JsonOptions,
    ) -> Result<Self, String> {
        let row = JsonEncoder::new(schema, json)?;
        Ok(Self { dialect, row, bytes: Vec::new(), ends: Vec::new() })
    }
}

/// What stands before and behind a row.
fn around(dialect: Dialect, comes: bool) -> (&'static str, &'static str) {
    match (dialect, comes) {
        (Dialect::Debezium, true) => (r#"{"before":null,"after":"#, r#","op":"c"}"#),
        (Dialect::Debezium, false) => (r#"{"before":"#, r#","after":null,"op":"d"}"#),
        (Dialect::Ogg, true) => (r#"{"before":null,"after":"#, r#","op_type":"I"}"#),
        (Dialect::Ogg, false) => (r#"{"before":"#, r#","after":null,"op_type":"D"}"#),
        (Dialect::Maxwell, true) => (r#"{"data":"#, r#","type":"insert"}"#),
        (Dialect::Maxwell, false) => (r#"{"data":"#, r#","type":"delete"}"#),
        (Dialect::Canal, true) => (r#"{"data":["#, r#"],"type":"INSERT"}"#),
        (Dialect::Canal, false) => (r#"{"data":["#, r#"],"type":"DELETE"}"#),
    }
}

impl RecordEncoder for ChangeEncoder {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let bug = |message: String| EncodeError { message };
        let last = batch.num_columns().saturating_sub(1);
        let kinds = batch.columns().last().map(kinds_of).transpose().map_err(bug)?;
        let rows = batch
            .project(&(0..last).collect::<Vec<_>>())
            .map_err(|error| bug(format!("rows without their kinds: {error}; this is a bug")))?;
        self.bytes.clear();
        self.ends.clear();
        self.row.encode_rows(&rows, &mut self.bytes, &mut self.ends)?;
        let mut start = 0;
        for (kind, &stop) in kinds.iter().flat_map(|kinds| kinds.iter()).zip(&self.ends) {
            let comes = matches!(kind, RowKind::Insert | RowKind::UpdateAfter);
            let (before, behind) = around(self.dialect, comes);
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(self.bytes.get(start..stop).unwrap_or_default());
            out.extend_from_slice(behind.as_bytes());
            end(out);
            start = stop;
        }
        Ok(())
    }
}
