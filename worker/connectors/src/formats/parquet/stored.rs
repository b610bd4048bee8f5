//! Columns as a file stores them, where the reader's own conversion could change values.
//!
//! - INT96 is days and nanoseconds of the day; the reader makes 64 bits of it, and years that do
//!   not fit come out as others (a 9999-12-31 that means "for ever", as nanoseconds). It is read
//!   as twelve bytes instead, which every encoding has in the same places.
//! - Integers of 8 and 16 bits are stored as 32, of which the reader cuts off the rest. They are
//!   read as 32 bits, and those that do not fit are told.
//! - Decimals may be stored as any number of bytes; the reader panics at more than 16. They are
//!   read as bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::datatypes::{ArrowTimestampType, DataType, Field};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::convert::{convert, out_of_range};
use crate::formats::column::sql_type;
use crate::formats::time::Instant;

/// Bytes of an INT96.
const INT96_BYTES: i32 = 12;
/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;

/// The metadata with such columns declared as what is stored; `None` where there are none.
pub(super) fn as_stored(file: &ParquetMetaData) -> Result<Option<ParquetMetaData>, ParquetError> {
    let root = file.file_metadata().schema();
    let replaced: Vec<Option<Type>> =
        root.get_fields().iter().map(|field| stored_type(field)).collect::<Result<_, _>>()?;
    if replaced.iter().all(Option::is_none) {
        return Ok(None);
    }
    let fields = root.get_fields().iter().zip(replaced);
    let fields = fields.map(|(field, new)| new.map_or_else(|| Arc::clone(field), Arc::new));
    let root = Type::group_type_builder(root.name()).with_fields(fields.collect()).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    let groups = file.row_groups().iter().map(|group| stored_group(group, &schema));
    let groups = groups.collect::<Result<_, _>>()?;
    let about = file.file_metadata();
    let about = FileMetaData::new(
        about.version(),
        about.num_rows(),
        about.created_by().map(str::to_owned),
        about.key_value_metadata().cloned(),
        schema,
        about.column_orders().cloned(),
    );
    Ok(Some(ParquetMetaData::new(about, groups)))
}

fn stored_type(field: &Type) -> Result<Option<Type>, ParquetError> {
    if !field.is_primitive() {
        return Ok(None);
    }
    let stored = match field.get_physical_type() {
        PhysicalType::INT96 => PhysicalType::FIXED_LEN_BYTE_ARRAY,
        PhysicalType::INT32 if is_narrow(field) => PhysicalType::INT32,
        PhysicalType::BYTE_ARRAY if is_decimal(field) => PhysicalType::BYTE_ARRAY,
        _ => return Ok(None),
    };
    let about = field.get_basic_info();
    Type::primitive_type_builder(field.name(), stored)
        .with_repetition(about.repetition())
        .with_length(if field.get_physical_type() == PhysicalType::INT96 {
            INT96_BYTES
        } else {
            -1
        })
        .with_id(about.has_id().then(|| about.id()))
        .build()
        .map(Some)
}

fn is_decimal(field: &Type) -> bool {
    let about = field.get_basic_info();
    match about.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::Decimal(_)),
        None => about.converted_type() == ConvertedType::DECIMAL,
    }
}

/// Whether an INT32 is declared to use fewer bits.
fn is_narrow(field: &Type) -> bool {
    let about = field.get_basic_info();
    match about.logical_type_ref() {
        Some(LogicalType::Integer(integer)) => integer.bit_width < 32,
        Some(_) => false,
        None => matches!(
            about.converted_type(),
            ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::UINT_8
                | ConvertedType::UINT_16
        ),
    }
}

fn stored_group(
    group: &RowGroupMetaData,
    schema: &SchemaDescPtr,
) -> Result<RowGroupMetaData, ParquetError> {
    let chunks = group.columns().iter().zip(schema.columns()).map(|(chunk, column)| {
        if chunk.column_descr().self_type() == column.self_type() {
            return Ok(chunk.clone());
        }
        // What statistics say of the values is in the other type.
        ColumnChunkMetaData::builder(Arc::clone(column))
            .set_encodings_mask(*chunk.encodings_mask())
            .set_num_values(chunk.num_values())
            .set_compression_codec(chunk.compression_codec())
            .set_total_compressed_size(chunk.compressed_size())
            .set_total_uncompressed_size(chunk.uncompressed_size())
            .set_data_page_offset(chunk.data_page_offset())
            .set_dictionary_page_offset(chunk.dictionary_page_offset())
            .set_index_page_offset(chunk.index_page_offset())
            .build()
    });
    RowGroupMetaData::builder(Arc::clone(schema))
        .set_column_metadata(chunks.collect::<Result<_, _>>()?)
        .set_num_rows(group.num_rows())
        .set_total_byte_size(group.total_byte_size())
        .build()
}

/// An INT96 column as the table's timestamps.
pub(super) fn int96<T: ArrowTimestampType>(
    column: &ArrayRef,
    table: &Field,
) -> Result<ArrayRef, String> {
    let stored = column
        .as_fixed_size_binary_opt()
        .ok_or_else(|| format!("INT96 was read as {}", column.data_type()))?;
    let zone = match table.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let count = |bytes: &[u8]| {
        let nanos = bytes.first_chunk().map(|nanos| i64::from_le_bytes(*nanos));
        let day = bytes.last_chunk().map(|day| i32::from_le_bytes(*day));
        let (nanos, day) = nanos.zip(day).ok_or_else(|| "INT96 has 12 bytes".to_owned())?;
        let part = Instant::from_unit(nanos, arrow::datatypes::TimeUnit::Nanosecond);
        let seconds = (i64::from(day) - EPOCH_DAY) * 86_400 + part.seconds;
        let instant = Instant { seconds, ..part };
        instant.in_unit(T::UNIT).ok_or_else(|| out_of_range(instant, table))
    };
    let counts = stored.iter().map(|bytes| bytes.map(count).transpose());
    let counts = counts.collect::<Result<PrimitiveArray<T>, String>>()?;
    Ok(Arc::new(counts.with_timezone_opt(zone)))
}

/// A column of the declared decimal, of which the bytes were read, as the table's.
pub(super) fn decimal(
    column: &ArrayRef,
    declared: &DataType,
    table: &Field,
) -> Result<ArrayRef, String> {
    let stored = column
        .as_binary_opt::<i32>()
        .ok_or_else(|| format!("a decimal's bytes were read as {}", column.data_type()))?;
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) =
        declared
    else {
        return Err(format!("{declared} is no decimal"));
    };
    let value = |bytes: &[u8]| {
        unscaled(bytes).ok_or_else(|| {
            let type_name = sql_type(&table.clone().with_data_type(declared.clone()));
            format!("the file holds a number of {} bytes in a {type_name}", bytes.len())
        })
    };
    let values = stored.iter().map(|bytes| bytes.map(value).transpose());
    let values = values.collect::<Result<Decimal128Array, String>>()?;
    let values = values.with_precision_and_scale(*precision, *scale);
    convert(&(Arc::new(values.map_err(|error| error.to_string())?) as ArrayRef), table)
}

/// The number that bytes are, the highest first; `None` where 128 bits do not hold it, or there
/// are none.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut wide = [sign; 16];
    wide[16 - low.len()..].copy_from_slice(low);
    let value = i128::from_be_bytes(wide);
    (high.iter().all(|&byte| byte == sign) && value.is_negative() == (sign != 0)).then_some(value)
}
