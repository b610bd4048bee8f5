//! Batches to the bytes of a Parquet file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::convert::convert;
use super::{Codec, ParquetOptions};
use crate::formats::EncodeError;

/// Writes batches into memory as one Parquet file.
///
/// Bytes of closed row groups can be taken while the file grows; the file is all bytes taken,
/// in order, and what [`ParquetRows::finish`] returns.
pub struct ParquetRows {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    row_group_bytes: usize,
    /// Bytes taken so far.
    taken: usize,
}

impl ParquetRows {
    /// A writer of the columns of `schema`.
    ///
    /// # Errors
    /// When a column's type has no Parquet form; the message names it.
    pub fn new(schema: &SchemaRef, options: &ParquetOptions) -> Result<Self, EncodeError> {
        let written: SchemaRef = Arc::new(Schema::new(
            schema.fields().iter().map(|field| storable(field)).collect::<Vec<_>>(),
        ));
        let compression = match options.compression {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Snappy => Compression::SNAPPY,
            Codec::Gzip => Compression::GZIP(GzipLevel::default()),
            Codec::Zstd => Compression::ZSTD(ZstdLevel::default()),
            Codec::Lz4 => Compression::LZ4_RAW,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_created_by("weir".to_owned())
            .build();
        let options_of_writer = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true)
            .with_schema_root("table".to_owned());
        let writer =
            ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&written), options_of_writer)
                .map_err(|error| failed(&error))?;
        let row_group_bytes = options.row_group_bytes;
        Ok(Self { writer, schema: written, row_group_bytes, taken: 0 })
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When the batch does not have the schema's columns.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns
            .map(|(column, field)| convert(column, field))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|message| EncodeError { message })?;
        let columns = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| EncodeError { message: error.to_string() })?;
        self.writer.write(&columns).map_err(|error| failed(&error))?;
        if self.writer.in_progress_size() >= self.row_group_bytes {
            self.close_row_group()?;
        }
        Ok(())
    }

    /// Ends the current row group.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn close_row_group(&mut self) -> Result<(), EncodeError> {
        self.writer.flush().map_err(|error| failed(&error))
    }

    /// Bytes of the file so far, those estimated that are not encoded yet.
    #[must_use]
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Memory that the writer holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.writer.memory_size() + self.writer.bytes_written().saturating_sub(self.taken)
    }

    /// Takes the bytes of closed row groups.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn take(&mut self) -> Result<Vec<u8>, EncodeError> {
        let synced = self.writer.sync();
        synced.map_err(|error| EncodeError { message: error.to_string() })?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.taken += bytes.len();
        Ok(bytes)
    }

    /// The footer that would make a whole file of the bytes taken so far, while the file goes
    /// on. The row group has to be closed and its bytes taken.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn footer(&self) -> Result<Vec<u8>, EncodeError> {
        use parquet::arrow::ArrowSchemaConverter;
        use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataWriter};
        let groups = self.writer.flushed_row_groups().to_vec();
        let rows = groups.iter().map(|group| group.num_rows()).sum();
        let schema = match groups.first() {
            Some(group) => group.schema_descr_ptr(),
            None => ArrowSchemaConverter::new()
                .convert(&self.schema)
                .map(Arc::new)
                .map_err(|error| failed(&error))?,
        };
        let file = FileMetaData::new(1, rows, Some("weir".to_owned()), None, schema, None);
        let metadata = ParquetMetaData::new(file, groups);
        let mut footer = Vec::new();
        ParquetMetaDataWriter::new(&mut footer, &metadata)
            .finish()
            .map_err(|error| failed(&error))?;
        Ok(footer)
    }

    /// Ends the file; returns the bytes that were not taken, the footer last.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn finish(self) -> Result<Vec<u8>, EncodeError> {
        self.writer.into_inner().map_err(|error| failed(&error))
    }
}

fn failed(error: &parquet::errors::ParquetError) -> EncodeError {
    EncodeError { message: format!("Parquet cannot be written: {error}") }
}

/// The type that Parquet has for a field's: it knows no whole seconds.
fn storable(field: &Field) -> Field {
    let stored = match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        other => other.clone(),
    };
    field.clone().with_data_type(stored)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;
    use bytes::Bytes;
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;
    use crate::formats::parquet::{ParquetPlan, RowPosition};

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        let field = |(n, t): &(&str, DataType)| Field::new(*n, t.clone(), true);
        Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
    }

    fn micros() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    /// Three row groups of four rows.
    fn file() -> (Bytes, SchemaRef) {
        let schema = schema(&[("n", DataType::Int32), ("s", DataType::Utf8), ("ts", micros())]);
        let options = ParquetOptions { compression: Codec::Zstd, ..ParquetOptions::default() };
        let mut rows = ParquetRows::new(&schema, &options).unwrap();
        let mut bytes = Vec::new();
        for group in 0..3 {
            let numbers = group * 4..group * 4 + 4;
            let times = numbers.clone().map(|n| i64::from(n) * 1_000_500 - 1);
            let batch = RecordBatch::try_new(
                Arc::clone(&schema),
                vec![
                    Arc::new(Int32Array::from_iter_values(numbers.clone())),
                    Arc::new(StringArray::from_iter_values(numbers.map(|n| n.to_string()))),
                    Arc::new(
                        TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"),
                    ),
                ],
            )
            .unwrap();
            rows.write(&batch).unwrap();
            rows.close_row_group().unwrap();
            bytes.extend(rows.take().unwrap());
            assert!(rows.size() >= bytes.len());
        }
        bytes.extend(rows.finish().unwrap());
        (bytes.into(), schema)
    }

    fn plan(file: &Bytes, table: &SchemaRef, projection: &[usize]) -> Result<ParquetPlan, String> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
        ParquetPlan::new(Arc::new(metadata), table, projection)
    }

    fn read(file: &Bytes, plan: &ParquetPlan, from: RowPosition, to: usize) -> RecordBatch {
        let batches: Vec<_> = plan
            .reader(file.clone(), from, to, 3)
            .unwrap()
            .map(|batch| plan.convert(&batch.unwrap()).unwrap())
            .collect();
        concat_batches(plan.schema(), &batches).unwrap()
    }

    #[test]
    fn what_is_written_in_pieces_is_read_from_any_position() {
        let (file, schema) = file();
        let plan = plan(&file, &schema, &[0, 1, 2]).unwrap();
        let whole = read(&file, &plan, RowPosition::default(), 3);
        assert_eq!(whole.num_rows(), 12);
        for skip in 0..=12u64 {
            let from = plan.advance(RowPosition::default(), skip);
            assert!(from.group == 3 || from.row < 4);
            let rest = read(&file, &plan, from, 3);
            let skip = usize::try_from(skip).unwrap();
            assert_eq!(rest, whole.slice(skip, 12 - skip));
        }
        let first_two = read(&file, &plan, RowPosition { group: 0, row: 1 }, 2);
        assert_eq!(first_two, whole.slice(1, 7));
    }

    #[test]
    fn columns_are_found_by_name_and_widened() {
        let (file, _) = file();
        let table = schema(&[
            ("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
            ("other", DataType::Utf8),
            ("n", DataType::Int64),
            ("s", DataType::Utf8View),
        ]);
        let plan = plan(&file, &table, &[3, 1, 0, 2]).unwrap();
        let batch = read(&file, &plan, RowPosition { group: 1, row: 3 }, 2);
        assert_eq!(batch.schema(), *plan.schema());
        assert_eq!(batch.num_rows(), 1);
        let cell = |column: usize| {
            arrow::util::display::array_value_to_string(batch.column(column), 0).unwrap()
        };
        assert_eq!([cell(0), cell(1), cell(2), cell(3)], ["7", "", "1970-01-01T00:00:07.003", "7"]);
    }

    #[test]
    fn the_lowest_event_time_of_a_row_group_is_known() {
        let (file, schema) = file();
        let plan = plan(&file, &schema, &[2, 0]).unwrap();
        // One microsecond before the epoch lies in the millisecond before it.
        assert_eq!(plan.lower_bound_ms(0, 0), Some(-1));
        assert_eq!(plan.lower_bound_ms(1, 0), Some(4_001));
        assert_eq!(plan.lower_bound_ms(1, 1), None);
        assert_eq!(plan.lower_bound_ms(3, 0), None);
        let seconds = self::schema(&[("ts", DataType::Timestamp(TimeUnit::Second, None))]);
        let plan = self::plan(&file, &seconds, &[0]).unwrap();
        assert_eq!(plan.lower_bound_ms(1, 0), Some(4_000), "rows are cut to 4 s too");
    }

    #[test]
    fn a_column_that_cannot_be_read_is_named_with_both_types() {
        let (file, _) = file();
        let table = schema(&[("s", DataType::Int64), ("n", DataType::Int8)]);
        let message = |projection: &[usize]| plan(&file, &table, projection).err().unwrap();
        expect_test::expect![[r#"
            column `s` is BIGINT in the table, but STRING in the file, which cannot be read as BIGINT without loss; declare it as STRING and CAST in the query
            column `n` is TINYINT in the table, but INT in the file, which cannot be read as TINYINT without loss; declare it as INT and CAST in the query"#]]
            .assert_eq(&format!("{}\n{}", message(&[0]), message(&[1])));
        let strict: SchemaRef =
            Arc::new(Schema::new(vec![Field::new("missing", DataType::Utf8, false)]));
        let error = plan(&file, &strict, &[0]).err().unwrap();
        assert!(error.contains("it has n, s, ts"), "{error}");
    }
}
