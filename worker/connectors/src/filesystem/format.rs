//! A table's `format`: what reads and writes the content of its files.

use arrow::datatypes::SchemaRef;
use weir_engine::EngineError;

use crate::formats::metadata::Wanted;
use crate::formats::{FILES, Format, RecordDecoder};
use crate::options::Options;

/// Reads `format` and its options; `None` after a problem.
pub(crate) fn read(options: &mut Options<'_>) -> Option<Format> {
    options.required("format", "give 'json', 'csv', 'parquet', 'raw' or 'avro'")?;
    Format::read(options, "", &FILES)
}

/// How the content of files is read.
#[derive(Clone, Debug)]
pub(crate) struct ReadFormat {
    pub(crate) format: Format,
    /// The columns that files hold, in the table's order.
    pub(crate) physical: SchemaRef,
    /// Those of them that are wanted.
    pub(crate) wanted: Vec<usize>,
    /// What is wanted of records beside their rows.
    pub(crate) metadata: Vec<Wanted>,
    /// Values of directories that stand for NULL: `partition.default-name`, or else what Flink and
    /// Hive use.
    pub(crate) null_directories: Vec<String>,
}

impl ReadFormat {
    /// Whether files tell about themselves at their ends.
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self.format, Format::Parquet(_))
    }

    /// A decoder of records; `None` for Parquet.
    ///
    /// # Errors
    /// When a column cannot be read from the format.
    pub(crate) fn decoder(&self) -> Result<Option<Box<dyn RecordDecoder>>, EngineError> {
        self.try_decoder().map_err(EngineError::user)
    }

    /// As [`Self::decoder`], with the bare message.
    pub(crate) fn try_decoder(&self) -> Result<Option<Box<dyn RecordDecoder>>, String> {
        match self.format {
            Format::Parquet(_) => Ok(None),
            _ => {
                self.format.check_lines(&self.physical)?;
                self.format.decoder(&self.physical, &self.wanted, &self.metadata).map(Some)
            }
        }
    }
}
