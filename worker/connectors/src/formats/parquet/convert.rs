//! From a file's column to the table's column, where nothing is lost.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, Int32Type, Int64Type, Time32MillisecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};

use crate::formats::column::sql_type;
use crate::formats::time::Instant;

/// How a column comes about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Conversion {
    /// The file's column, as it is, at this place among the columns read.
    Same(usize),
    /// The file's column, cast.
    Cast(usize),
    /// The file's column, of the type INT96.
    Int96(usize),
    /// The file's column of bytes, which is declared to hold this decimal, cast.
    Decimal(usize, DataType),
    /// The file's column of 32 bits, which is declared to hold this narrower type, cast.
    Narrow(usize, DataType),
    /// The file does not have the column.
    Null,
}

/// Whether a file's type can be read as the table's without loss. Timestamps and times may
/// lose digits beyond the declared precision: that is what declaring it means.
pub(super) fn is_readable(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Decimal256, Dictionary, FixedSizeBinary, Float16,
        Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeUtf8, List, Map,
        Null, Struct, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    match (file, table) {
        (file, table) if file == table => true,
        // As writers declare a column of which they have seen NULL only.
        (Null, _) => true,
        (Dictionary(_, values), table) => is_readable(values, table),
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, Int16 | Int32 | Int64) | (UInt16, Int32 | Int64) | (UInt32, Int64) => true,
        (UInt64, Decimal128(digits, 0)) => *digits >= 20,
        (Float32, Float64) | (Float16, Float32 | Float64) => true,
        // The wider one also comes of few digits in many bytes.
        (Decimal128(digits, scale) | Decimal256(digits, scale), Decimal128(more, same)) => {
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
    let (has, wants) = (file_type(file), sql_type(table));
    let way_out = match declarable(file) {
        Some(type_name) => format!("declare it as {type_name} and CAST in the query"),
        None => "SQL has no type for it, so leave the column out of the table".to_owned(),
    };
    format!(
        "column `{}` is {wants} in the table, but {has} in the file, which cannot be read as \
         {wants} without loss; {way_out}",
        table.name()
    )
}

/// A file's type by the name that SQL has for it, or else Parquet.
fn file_type(file: &Field) -> String {
    match file.data_type() {
        DataType::UInt8 => "UINT_8".to_owned(),
        DataType::UInt16 => "UINT_16".to_owned(),
        DataType::UInt32 => "UINT_32".to_owned(),
        DataType::UInt64 => "UINT_64".to_owned(),
        DataType::Float16 => "FLOAT16".to_owned(),
        DataType::FixedSizeBinary(bytes) => format!("FIXED_LEN_BYTE_ARRAY({bytes})"),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Dictionary(_, values) => {
            file_type(&file.clone().with_data_type(values.as_ref().clone()))
        }
        _ => sql_type(file),
    }
}

/// A type that a table can be declared with and that reads the file's without loss.
fn declarable(file: &Field) -> Option<String> {
    Some(match file.data_type() {
        DataType::UInt8 => "SMALLINT".to_owned(),
        DataType::UInt16 => "INT".to_owned(),
        DataType::UInt32 => "BIGINT".to_owned(),
        DataType::UInt64 => "DECIMAL(20, 0)".to_owned(),
        DataType::Float16 => "FLOAT".to_owned(),
        DataType::FixedSizeBinary(_) => "BYTES".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Dictionary(_, values) => {
            return declarable(&file.clone().with_data_type(values.as_ref().clone()));
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..=38, _)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Timestamp(..) => sql_type(file),
        _ => return None,
    })
}

/// The column as the table wants it.
pub(super) fn convert(column: &ArrayRef, table: &Field) -> Result<ArrayRef, String> {
    // A value that does not fit is an error, not NULL.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast =
        |to: &DataType| cast_with_options(column, to, &options).map_err(|error| error.to_string());
    if let DataType::Time32(TimeUnit::Millisecond) = table.data_type()
        && *column.data_type() != DataType::Time32(TimeUnit::Second)
    {
        return time_of_day(column, &cast(&DataType::Int64)?);
    }
    if column.data_type() == table.data_type() {
        return Ok(Arc::clone(column));
    }
    let (DataType::Timestamp(from, _), DataType::Timestamp(to, zone)) =
        (column.data_type(), table.data_type())
    else {
        return cast(table.data_type());
    };
    // Only the unit changes; the zone is a label, as values count from the epoch either way.
    let counts = cast(&DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    match to {
        TimeUnit::Second => rescale::<TimestampSecondType>(counts, *from, zone, table),
        TimeUnit::Millisecond => rescale::<TimestampMillisecondType>(counts, *from, zone, table),
        TimeUnit::Microsecond => rescale::<TimestampMicrosecondType>(counts, *from, zone, table),
        TimeUnit::Nanosecond => rescale::<TimestampNanosecondType>(counts, *from, zone, table),
    }
}

/// Counts of one unit as those of another. Digits are cut off downwards, on both sides of 1970,
/// which is why Arrow's cast will not do.
fn rescale<T: ArrowTimestampType>(
    counts: &PrimitiveArray<Int64Type>,
    from: TimeUnit,
    zone: &Option<Arc<str>>,
    table: &Field,
) -> Result<ArrayRef, String> {
    let rescaled: PrimitiveArray<T> = counts.try_unary(|count| {
        let instant = Instant::from_unit(count, from);
        instant.in_unit(T::UNIT).ok_or_else(|| out_of_range(instant, table))
    })?;
    Ok(Arc::new(rescaled.with_timezone_opt(zone.clone())))
}

/// The sentence for a timestamp that the table's unit does not reach.
pub(super) fn out_of_range(instant: Instant, table: &Field) -> String {
    let fewer = match table.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 6,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 3,
        _ => 0,
    };
    format!(
        "a timestamp {} s from 1970 is out of the range of {}; declare the column with {fewer} \
         digits or fewer",
        instant.seconds,
        sql_type(table)
    )
}

/// A column of 32 bits, of which a narrower type is used.
pub(super) fn narrow(
    column: &ArrayRef,
    declared: &DataType,
    table: &Field,
) -> Result<ArrayRef, String> {
    let range = match declared {
        DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
        DataType::UInt8 => 0..=u8::MAX.into(),
        DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
        _ => 0..=u16::MAX.into(),
    };
    let stored = column
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(|| format!("32 bits were read as {}", column.data_type()))?;
    if let Some(beyond) = stored.iter().flatten().find(|value| !range.contains(value)) {
        let declared = file_type(&table.clone().with_data_type(declared.clone()));
        return Err(format!("the file holds {beyond} in a column of the type {declared}"));
    }
    convert(column, table)
}

/// Times of day as milliseconds since midnight. Arrow's cast takes any number.
fn time_of_day(column: &ArrayRef, counts: &ArrayRef) -> Result<ArrayRef, String> {
    let (per_ms, unit) = match column.data_type() {
        DataType::Time64(TimeUnit::Nanosecond) => (1_000_000, "ns"),
        DataType::Time64(_) => (1_000, "µs"),
        _ => (1, "ms"),
    };
    let counts = counts.as_primitive::<Int64Type>();
    let millis = counts.try_unary::<_, Time32MillisecondType, String>(|count| {
        let millis = i32::try_from(count.div_euclid(per_ms)).ok();
        millis
            .filter(|millis| (0..86_400_000).contains(millis))
            .ok_or_else(|| format!("{count} {unit} since midnight is no TIME"))
    })?;
    Ok(Arc::new(millis))
}

/// A column of NULLs.
pub(super) fn nulls(table: &Field, rows: usize) -> ArrayRef {
    new_null_array(table.data_type(), rows)
}
