//! From a file's column to the table's column, where nothing is lost.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

use crate::formats::column::sql_type;

/// How a column comes about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Conversion {
    /// The file's column, as it is, at this place among the columns read.
    Same(usize),
    /// The file's column, cast.
    Cast(usize),
    /// The file does not have the column.
    Null,
}

/// Whether a file's type can be read as the table's without loss. Timestamps and times may
/// lose digits beyond the declared precision: that is what declaring it means.
pub(super) fn is_readable(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Dictionary, FixedSizeBinary, Float32, Float64,
        Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeUtf8, List, Map, Struct, Time32,
        Time64, Timestamp, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    match (file, table) {
        (file, table) if file == table => true,
        (Dictionary(_, values), table) => is_readable(values, table),
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, Int16 | Int32 | Int64) | (UInt16, Int32 | Int64) | (UInt32, Int64) => true,
        (Float32, Float64) => true,
        (Decimal128(digits, scale), Decimal128(more, same)) => {
            // As many digits before the point, and behind it.
            let before = |digits: &u8, scale: &i8| i16::from(*digits) - i16::from(*scale);
            same >= scale && before(more, same) >= before(digits, scale)
        }
        (Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView, Utf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), Binary) => true,
        (Timestamp(..), Timestamp(..)) => true,
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => true,
        (Int32, Date32) => false,
        (List(file) | LargeList(file), List(table)) => is_inner(file, table),
        (Struct(file), Struct(table)) => {
            file.len() == table.len()
                && file.iter().zip(table).all(|(f, t)| f.name() == t.name() && is_inner(f, t))
        }
        (Map(file, _), Map(table, _)) => match (file.data_type(), table.data_type()) {
            (Struct(file), Struct(table)) => {
                file.len() == table.len() && file.iter().zip(table).all(|(f, t)| is_inner(f, t))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Inside a nested type a zone cannot be relabelled, so it must be the same.
fn is_inner(file: &Field, table: &Field) -> bool {
    match (file.data_type(), table.data_type()) {
        (DataType::Timestamp(_, file), DataType::Timestamp(_, table)) if file != table => false,
        (file, table) => is_readable(file, table),
    }
}

/// The sentence for a column that cannot be read.
pub(super) fn mismatch(file: &Field, table: &Field) -> String {
    let (has, wants) = (sql_type(file), sql_type(table));
    format!(
        "column `{}` is {wants} in the table, but {has} in the file, which cannot be read as \
         {wants} without loss; declare it as {has} and CAST in the query",
        table.name()
    )
}

/// The column as the table wants it.
pub(super) fn convert(column: &ArrayRef, table: &Field) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == table.data_type() {
        return Ok(Arc::clone(column));
    }
    // A value that does not fit is an error, not NULL.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    if let (DataType::Timestamp(..), DataType::Timestamp(unit, zone)) =
        (column.data_type(), table.data_type())
    {
        // Only the unit changes; the zone is a label, as values count from the epoch either way.
        let DataType::Timestamp(_, from) = column.data_type() else { return Ok(column.clone()) };
        let cast = cast_with_options(column, &DataType::Timestamp(*unit, from.clone()), &options)?;
        return Ok(match unit {
            TimeUnit::Second => label::<TimestampSecondType>(&cast, zone.clone()),
            TimeUnit::Millisecond => label::<TimestampMillisecondType>(&cast, zone.clone()),
            TimeUnit::Microsecond => label::<TimestampMicrosecondType>(&cast, zone.clone()),
            TimeUnit::Nanosecond => label::<TimestampNanosecondType>(&cast, zone.clone()),
        });
    }
    cast_with_options(column, table.data_type(), &options)
}

fn label<T: ArrowTimestampType>(array: &ArrayRef, zone: Option<Arc<str>>) -> ArrayRef {
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Arc::new(array.with_timezone_opt(zone))
}

/// A column of NULLs.
pub(super) fn nulls(table: &Field, rows: usize) -> ArrayRef {
    new_null_array(table.data_type(), rows)
}
