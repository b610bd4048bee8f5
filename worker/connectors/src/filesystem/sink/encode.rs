//! Batches to the bytes of one file.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_engine::{EngineError, OperatorError};

use crate::formats::avro::AvroFile;
use crate::formats::parquet::ParquetRows;
use crate::formats::{EncodeError, Format, RecordEncoder};

/// Makes the encoders of a table's files.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) format: Format,
    pub(crate) schema: SchemaRef,
}

/// The bytes of a file that is being written.
pub(crate) enum FileEncoder {
    Lines { encoder: Box<dyn RecordEncoder>, buffer: Vec<u8>, taken: usize },
    Parquet { rows: Box<ParquetRows>, taken: usize },
    Avro(Box<AvroFile>),
}

fn failed(error: EncodeError) -> OperatorError {
    EngineError::user(error.message)
}

impl Encoder {
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self.format, Format::Parquet(_))
    }

    /// How file names end.
    pub(crate) fn ending(&self) -> &'static str {
        match self.format {
            Format::Json(_) | Format::Changes(_) => ".json",
            Format::Csv(_) => ".csv",
            Format::Parquet(_) => ".parquet",
            Format::Raw(_) => "",
            Format::Avro(_) => ".avro",
        }
    }

    /// An encoder for another file.
    pub(crate) fn open(&self) -> Result<FileEncoder, OperatorError> {
        if let Format::Parquet(options) = &self.format {
            let rows = ParquetRows::new(&self.schema, options).map_err(failed)?;
            return Ok(FileEncoder::Parquet { rows: Box::new(rows), taken: 0 });
        }
        if let Format::Avro(options) = &self.format {
            let file = AvroFile::new(self.schema.clone(), *options).map_err(failed)?;
            return Ok(FileEncoder::Avro(Box::new(file)));
        }
        self.format.check_lines(&self.schema).map_err(EngineError::user)?;
        let encoder = self.format.encoder(self.schema.clone()).map_err(EngineError::user)?;
        let buffer = encoder.header().to_vec();
        Ok(FileEncoder::Lines { encoder, buffer, taken: 0 })
    }
}

impl FileEncoder {
    pub(crate) fn write(&mut self, records: &RecordBatch) -> Result<(), OperatorError> {
        match self {
            Self::Lines { encoder, buffer, .. } => encoder.encode(records, buffer).map_err(failed),
            Self::Parquet { rows, .. } => rows.write(records).map_err(failed),
            Self::Avro(file) => file.write(records).map_err(failed),
        }
    }

    /// Bytes of the file so far; estimated where rows are not encoded yet.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Lines { buffer, taken, .. } => (buffer.len() + taken) as u64,
            Self::Parquet { rows, .. } => rows.size() as u64,
            Self::Avro(file) => file.size() as u64,
        }
    }

    /// Bytes of it that wait here, and could be taken or soon can be.
    pub(crate) fn pending(&self) -> usize {
        match self {
            Self::Lines { buffer, .. } => buffer.len(),
            // Rows in the open row group count too: taking then costs little and gives nothing.
            Self::Parquet { rows, taken } => rows.size().saturating_sub(*taken),
            Self::Avro(file) => file.pending(),
        }
    }

    /// Memory held.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Lines { buffer, .. } => buffer.capacity(),
            Self::Parquet { rows, .. } => rows.memory(),
            Self::Avro(file) => file.memory(),
        }
    }

    /// Takes what is encoded: whole records, of Avro whole blocks.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>, OperatorError> {
        match self {
            Self::Lines { buffer, taken, .. } => {
                *taken += buffer.len();
                Ok(std::mem::take(buffer))
            }
            Self::Parquet { rows, taken } => {
                let bytes = rows.take().map_err(failed)?;
                *taken += bytes.len();
                Ok(bytes)
            }
            Self::Avro(file) => Ok(file.take()),
        }
    }

    /// Before a barrier: whatever was written can be taken next.
    pub(crate) fn pause(&mut self) -> Result<(), OperatorError> {
        match self {
            Self::Lines { .. } => Ok(()),
            Self::Parquet { rows, .. } => rows.close_row_group().map_err(failed),
            Self::Avro(file) => file.end_block().map_err(failed),
        }
    }

    /// What makes the bytes taken so far a whole file, after [`Self::pause`] and
    /// [`Self::take`]; empty where nothing is needed.
    pub(crate) fn footer(&self) -> Result<Vec<u8>, OperatorError> {
        match self {
            Self::Lines { .. } | Self::Avro(_) => Ok(Vec::new()),
            Self::Parquet { rows, .. } => rows.footer().map_err(failed),
        }
    }

    /// Ends the file: the bytes that were not taken.
    pub(crate) fn finish(self) -> Result<Vec<u8>, OperatorError> {
        match self {
            Self::Lines { buffer, .. } => Ok(buffer),
            Self::Parquet { rows, .. } => rows.finish().map_err(failed),
            Self::Avro(mut file) => {
                file.end_block().map_err(failed)?;
                Ok(file.take())
            }
        }
    }
}
