//! Batches → the bytes of an object container file.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::container::{SYNC, put_block, put_head};
use super::{AvroEncoder, AvroOptions, Codec};
use crate::formats::{EncodeError, RecordEncoder};

/// Bytes of records in a block, as Avro's own writers have them.
const BLOCK: usize = 64_000;

/// A file that is being written. It is whole after every block: nothing ends it.
pub struct AvroFile {
    encoder: AvroEncoder,
    codec: Codec,
    sync: [u8; SYNC],
    /// Finished blocks that were not taken, the file's head before the first.
    finished: Vec<u8>,
    /// Bytes that were taken.
    taken: usize,
    /// Records of the block that is not finished.
    records: Vec<u8>,
    count: usize,
}

impl AvroFile {
    /// A file of the columns of `schema`.
    ///
    /// # Errors
    /// When a column has no type of Avro; the message names column, cause and fix.
    pub fn new(schema: SchemaRef, options: AvroOptions) -> Result<Self, EncodeError> {
        let encoder =
            AvroEncoder::new(schema, options).map_err(|message| EncodeError { message })?;
        let sync = uuid::Uuid::new_v4().into_bytes();
        let mut finished = Vec::new();
        put_head(&mut finished, encoder.derived(), options.codec, sync);
        let (records, count) = (Vec::new(), 0);
        Ok(Self { encoder, codec: options.codec, sync, finished, taken: 0, records, count })
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let Self { encoder, codec, sync, finished, records, count, .. } = self;
        let mut failed = None;
        encoder.each_row(batch, records, &mut |records| {
            *count += 1;
            if records.len() >= BLOCK && failed.is_none() {
                failed = put_block(finished, *count, records, *codec, *sync).err();
                *count = 0;
                records.clear();
            }
        })?;
        failed.map_or(Ok(()), |message| Err(cannot(&message)))
    }

    /// Ends the block: everything that was written can be taken next.
    ///
    /// # Errors
    /// When packing fails.
    pub fn end_block(&mut self) -> Result<(), EncodeError> {
        if self.count > 0 {
            let finished = &mut self.finished;
            put_block(finished, self.count, &self.records, self.codec, self.sync)
                .map_err(|message| cannot(&message))?;
            self.count = 0;
            self.records.clear();
        }
        Ok(())
    }

    /// Bytes of the file so far, those of the last block not packed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.taken + self.finished.len() + self.records.len()
    }

    /// Bytes that can be taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.finished.len()
    }

    /// Memory held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.finished.capacity() + self.records.capacity()
    }

    /// Takes the bytes of finished blocks.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken += self.finished.len();
        std::mem::take(&mut self.finished)
    }
}

fn cannot(message: &str) -> EncodeError {
    EncodeError { message: format!("a block of Avro cannot be packed: {message}") }
}
