//! What to read of a Parquet file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{
    DataType, Field, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderBuilder, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use crate::formats::time::Instant;

use super::convert::{Conversion, convert, is_readable, mismatch, narrow, nulls};
use super::stored::{as_stored, decimal, int96};

/// A row group of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowGroup {
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the wanted columns, compressed.
    pub bytes: u64,
    /// First byte of the row group in the file; a split owns the row groups that begin in it.
    pub offset: u64,
}

/// The next row to read: row `row` of row group `group`, both from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct RowPosition {
    /// Row group.
    pub group: usize,
    /// Row within it; the number of its rows stands for the start of the next.
    pub row: u64,
}

/// What to read of one file, and how its columns become the table's.
#[derive(Clone)]
pub struct ParquetPlan {
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    schema: SchemaRef,
    conversions: Vec<Conversion>,
    groups: Vec<RowGroup>,
}

impl ParquetPlan {
    /// Plans the columns `projection` of a table's physical columns, found by name. A column
    /// that the file lacks is NULL.
    ///
    /// # Errors
    /// When the file's columns cannot be read as the table's; the message names column, cause
    /// and fix.
    pub fn new(
        metadata: Arc<ParquetMetaData>,
        table: &SchemaRef,
        projection: &[usize],
    ) -> Result<Self, String> {
        // Types come from Parquet alone: what some writer's Arrow schema said must not matter.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let unreadable = |error| format!("the file's schema cannot be read: {error}");
        let declared =
            ArrowReaderMetadata::try_new(metadata, options.clone()).map_err(unreadable)?;
        let schema = table.project(projection).map_err(|error| error.to_string())?;
        let metadata = match as_stored(declared.metadata()).map_err(unreadable)? {
            None => declared.clone(),
            Some(stored) => {
                ArrowReaderMetadata::try_new(Arc::new(stored), options).map_err(unreadable)?
            }
        };
        let file = declared.schema();
        let mut roots = Vec::new();
        for field in schema.fields() {
            match file.fields().iter().position(|f| f.name() == field.name()) {
                Some(root) => roots.push(root),
                None if field.is_nullable() => {}
                None => {
                    let names: Vec<_> = file.fields().iter().map(|f| f.name().as_str()).collect();
                    return Err(format!(
                        "column `{}` is NOT NULL, but the file does not have it; it has {}",
                        field.name(),
                        names.join(", ")
                    ));
                }
            }
        }
        roots.sort_unstable();
        roots.dedup();
        let mut conversions = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let root = file.fields().iter().position(|f| f.name() == field.name());
            let read = root.and_then(|root| roots.binary_search(&root).ok().map(|at| (root, at)));
            conversions.push(match read {
                None => Conversion::Null,
                Some((root, at)) => {
                    let found = file.field(root);
                    if !is_readable(found.data_type(), field.data_type()) {
                        return Err(mismatch(found, field));
                    }
                    let stored = metadata.schema().field(root).data_type();
                    match (stored, field.data_type()) {
                        (DataType::Binary, DataType::Decimal128(..)) => {
                            Conversion::Decimal(at, found.data_type().clone())
                        }
                        _ if stored == &DataType::Int32 && found.data_type() != stored => {
                            Conversion::Narrow(at, found.data_type().clone())
                        }
                        (DataType::FixedSizeBinary(_), DataType::Timestamp(..)) => {
                            Conversion::Int96(at)
                        }
                        // Times are checked in any case.
                        (stored, wanted)
                            if stored == wanted && !matches!(wanted, DataType::Time32(_)) =>
                        {
                            Conversion::Same(at)
                        }
                        _ => Conversion::Cast(at),
                    }
                }
            });
        }
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let groups = row_groups(metadata.metadata(), &mask);
        Ok(Self { metadata, mask, schema: Arc::new(schema), conversions, groups })
    }

    /// The columns that [`Self::convert`] returns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The file's row groups, in order.
    #[must_use]
    pub fn row_groups(&self) -> &[RowGroup] {
        &self.groups
    }

    /// The lowest value of a timestamp column in one row group, in milliseconds, rounded down:
    /// a watermark may not pass it before the row group is read. `None` where statistics do not
    /// say. `column` is an index in [`Self::schema`].
    #[must_use]
    pub fn lower_bound_ms(&self, group: usize, column: usize) -> Option<i64> {
        let field = self.schema.fields().get(column)?;
        let DataType::Timestamp(read_as, _) = field.data_type() else { return None };
        let file = self.metadata.schema();
        let converter =
            StatisticsConverter::try_new(field.name(), file, self.metadata.parquet_schema())
                .ok()?;
        let found = self.metadata.metadata().row_groups().get(group)?;
        let lowest = converter.row_group_mins([found]).ok()?;
        let DataType::Timestamp(unit, _) = lowest.data_type().clone() else { return None };
        if lowest.len() != 1 || lowest.is_null(0) {
            return None;
        }
        let counts = arrow::compute::cast(&lowest, &DataType::Int64).ok()?;
        let value = counts.as_primitive::<Int64Type>().value(0);
        // A coarser column cuts digits off, so that rows are earlier than the file says.
        let read = Instant::from_unit(value, unit).in_unit(*read_as)?;
        Instant::from_unit(read, *read_as).in_unit(TimeUnit::Millisecond)
    }

    /// A reader from `from` to the end of row group `to - 1`, over bytes at hand.
    ///
    /// # Errors
    /// When the file is not what its metadata says.
    pub fn reader<T: ChunkReader + 'static>(
        &self,
        input: T,
        from: RowPosition,
        to: usize,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let metadata = self.metadata.clone();
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata);
        self.select(builder, from, to, batch_rows).build()
    }

    /// The same over a store: row groups are fetched as they are needed.
    ///
    /// # Errors
    /// When the file is not what its metadata says.
    pub fn stream<T: AsyncFileReader + Unpin + Send + 'static>(
        &self,
        input: T,
        from: RowPosition,
        to: usize,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchStream<T>, ParquetError> {
        let metadata = self.metadata.clone();
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(input, metadata);
        self.select(builder, from, to, batch_rows).build()
    }

    fn select<T>(
        &self,
        builder: ArrowReaderBuilder<T>,
        from: RowPosition,
        to: usize,
        batch_rows: usize,
    ) -> ArrowReaderBuilder<T> {
        let to = to.min(self.groups.len());
        builder
            .with_projection(self.mask.clone())
            .with_row_groups((from.group.min(to)..to).collect())
            .with_offset(usize::try_from(from.row).unwrap_or(usize::MAX))
            .with_batch_size(batch_rows)
    }

    /// The position `rows` rows further on.
    #[must_use]
    pub fn advance(&self, from: RowPosition, rows: u64) -> RowPosition {
        let mut at = RowPosition { row: from.row + rows, ..from };
        while let Some(group) = self.groups.get(at.group).filter(|group| at.row >= group.rows) {
            at = RowPosition { group: at.group + 1, row: at.row - group.rows };
        }
        at
    }

    /// A batch as it was read → the table's columns.
    ///
    /// # Errors
    /// When a value does not fit its column; the message names the column.
    pub fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let mut columns = Vec::with_capacity(self.conversions.len());
        for (conversion, field) in self.conversions.iter().zip(self.schema.fields()) {
            let column = match conversion {
                Conversion::Same(at) => Ok(Arc::clone(batch.column(*at))),
                Conversion::Cast(at) => convert(batch.column(*at), field),
                Conversion::Int96(at) => from_int96(batch.column(*at), field),
                Conversion::Decimal(at, declared) => decimal(batch.column(*at), declared, field),
                Conversion::Narrow(at, declared) => narrow(batch.column(*at), declared, field),
                Conversion::Null => Ok(nulls(field, batch.num_rows())),
            };
            let column = column.map_err(|error| format!("column `{}`: {error}", field.name()))?;
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(format!(
                    "column `{}` is NOT NULL, but the file holds NULL; declare it without NOT NULL",
                    field.name()
                ));
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| error.to_string())
    }
}

/// An INT96 column in the table's unit.
fn from_int96(column: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => int96::<TimestampSecondType>(column, field),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            int96::<TimestampMillisecondType>(column, field)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            int96::<TimestampMicrosecondType>(column, field)
        }
        _ => int96::<TimestampNanosecondType>(column, field),
    }
}

fn row_groups(metadata: &ParquetMetaData, mask: &ProjectionMask) -> Vec<RowGroup> {
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    let group = |group: &parquet::file::metadata::RowGroupMetaData| {
        let columns = group.columns();
        let wanted = columns.iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        RowGroup {
            rows: unsigned(group.num_rows()),
            bytes: wanted.map(|(_, column)| unsigned(column.compressed_size())).sum(),
            offset: columns.iter().map(|column| column.byte_range().0).min().unwrap_or(0),
        }
    };
    metadata.row_groups().iter().map(group).collect()
}
