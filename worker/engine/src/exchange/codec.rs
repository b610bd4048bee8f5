//! Batches as bytes: Arrow IPC bodies, read without copying columns.
//!
//! ```text
//!  flags u8 | pad 3 | metadata length u32 | pad to 64 | IPC message | pad to 64 | IPC body
//! ```
//! The schema does not travel: both ends know it from the graph. Hashes, behind-marks and row
//! kinds travel as further columns, announced by the flags.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, RecordBatch};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, root_as_message};

use crate::batch::RowKind;
use crate::{Batch, EngineError};

const ALIGN: usize = 64;
const HASHES: u8 = 1;
const BEHIND: u8 = 2;
const KINDS: u8 = 4;

/// Appends the batch to `out`, which must be empty.
pub(super) fn encode(batch: &Batch, out: &mut Vec<u8>) -> Result<(), EngineError> {
    let mut flags = 0;
    let mut columns = batch.records().columns().to_vec();
    if let Some(hashes) = batch.hashes() {
        flags |= HASHES;
        columns.push(Arc::new(hashes.clone()));
    }
    if let Some(behind) = batch.behind() {
        flags |= BEHIND;
        columns.push(Arc::new(behind.clone()));
    }
    if let Some(kinds) = batch.kinds() {
        flags |= KINDS;
        let kinds = Int8Array::from_iter_values(kinds.iter().map(|&k| k as i8));
        columns.push(Arc::new(kinds) as ArrayRef);
    }
    let schema = extended(batch.records().schema_ref(), flags);
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let whole = RecordBatch::try_new_with_options(schema, columns, &options)?;
    let (dictionaries, encoded) = IpcDataGenerator::default().encode(
        &whole,
        &mut DictionaryTracker::new(false),
        &IpcWriteOptions::default(),
        &mut IpcWriteContext::default(),
    )?;
    if !dictionaries.is_empty() {
        return Err(EngineError::internal("dictionary columns do not travel between workers"));
    }
    out.push(flags);
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&(encoded.ipc_message.len() as u32).to_le_bytes());
    out.resize(ALIGN, 0);
    out.extend_from_slice(&encoded.ipc_message);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    out.extend_from_slice(&encoded.arrow_data);
    Ok(())
}

/// A frame's body in memory that Arrow can point into.
pub(super) fn body(length: usize) -> MutableBuffer {
    MutableBuffer::from_len_zeroed(length)
}

/// Reads a batch of the edge's schema; its columns point into `bytes`.
pub(super) fn decode(schema: &SchemaRef, bytes: MutableBuffer) -> Result<Batch, EngineError> {
    let bytes = Buffer::from(bytes);
    let damaged =
        |what: &str| EngineError::external(format!("a batch between workers is damaged: {what}"));
    let head = bytes.as_slice().get(..8).ok_or_else(|| damaged("it is too short"))?;
    let flags = head[0];
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let message_end = ALIGN.saturating_add(length);
    let message = bytes
        .as_slice()
        .get(ALIGN..message_end)
        .ok_or_else(|| damaged("its metadata is cut off"))?;
    let message = root_as_message(message).map_err(|e| damaged(&e.to_string()))?;
    let header = message.header_as_record_batch().ok_or_else(|| damaged("it holds no rows"))?;
    let body_start = message_end.next_multiple_of(ALIGN);
    if body_start > bytes.len() {
        return Err(damaged("its columns are cut off"));
    }
    let whole = read_record_batch(
        &bytes.slice(body_start),
        header,
        extended(schema, flags),
        &std::collections::HashMap::new(),
        None,
        &MetadataVersion::V5,
    )?;
    let plain = schema.fields().len();
    let mut metadata = whole.columns()[plain..].iter();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(whole.num_rows()));
    let records = RecordBatch::try_new_with_options(
        Arc::clone(schema),
        whole.columns()[..plain].to_vec(),
        &options,
    )?;
    let mut batch = Batch::new(records);
    if flags & HASHES != 0
        && let Some(column) = metadata.next()
    {
        batch = batch.with_hashes(column.as_primitive::<UInt64Type>().clone());
    }
    if flags & BEHIND != 0
        && let Some(column) = metadata.next()
    {
        batch = batch.with_behind(Some(column.as_primitive::<Int64Type>().clone()));
    }
    if flags & KINDS != 0
        && let Some(column) = metadata.next()
    {
        let kinds = column
            .as_primitive::<Int8Type>()
            .values()
            .iter()
            .map(|&k| kind(k))
            .collect::<Result<Arc<[_]>, _>>()?;
        batch = batch.with_kinds(Some(kinds));
    }
    Ok(batch)
}

fn kind(value: i8) -> Result<RowKind, ArrowError> {
    match value {
        0 => Ok(RowKind::Insert),
        1 => Ok(RowKind::UpdateBefore),
        2 => Ok(RowKind::UpdateAfter),
        3 => Ok(RowKind::Delete),
        other => Err(ArrowError::IpcError(format!("{other} is not a row kind"))),
    }
}

/// The edge's schema with the metadata columns that the flags announce. All fields may be null
/// here: what a producer's expression promises is not for the wire to check.
fn extended(schema: &SchemaRef, flags: u8) -> SchemaRef {
    let mut fields: Vec<Field> =
        schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    if flags & HASHES != 0 {
        fields.push(Field::new("hash", DataType::UInt64, true));
    }
    if flags & BEHIND != 0 {
        fields.push(Field::new("behind", DataType::Int64, true));
    }
    if flags & KINDS != 0 {
        fields.push(Field::new("kind", DataType::Int8, true));
    }
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray, UInt64Array};

    use super::*;

    #[test]
    fn rows_and_metadata_survive_the_wire() {
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("ünï"), None]));
        let records = RecordBatch::try_from_iter([("i", ints), ("t", text)]).expect("columns");
        let plain = Batch::new(records);
        let full = plain
            .clone()
            .with_hashes(UInt64Array::from(vec![7, 8, u64::MAX]))
            .with_behind(Some(Int64Array::from(vec![None, Some(-4), None])))
            .with_kinds(Some([RowKind::Insert, RowKind::Delete, RowKind::UpdateAfter].into()));
        for batch in [plain, full.clone(), full.slice(1, 2)] {
            let mut bytes = Vec::new();
            encode(&batch, &mut bytes).expect("encodes");
            let mut buffer = body(bytes.len());
            buffer.as_slice_mut().copy_from_slice(&bytes);
            let back = decode(batch.records().schema_ref(), buffer).expect("decodes");
            assert_eq!(back.records(), batch.records());
            assert_eq!(back.hashes(), batch.hashes());
            assert_eq!(back.behind(), batch.behind());
            assert_eq!(back.kinds(), batch.kinds());
        }
    }

    #[test]
    fn a_cut_off_batch_is_an_error() {
        let ints: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let batch = Batch::new(RecordBatch::try_from_iter([("i", ints)]).expect("column"));
        let mut bytes = Vec::new();
        encode(&batch, &mut bytes).expect("encodes");
        for length in [0, 4, 60, 70, 130] {
            let mut buffer = body(length);
            buffer.as_slice_mut().copy_from_slice(&bytes[..length]);
            assert!(decode(batch.records().schema_ref(), buffer).is_err(), "{length} bytes");
        }
    }
}
