//! Columns under construction: text and numbers in, Arrow arrays out, the last row revocable.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, ListArray,
    MapArray, NullBufferBuilder, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray,
    StringViewArray, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Field, FieldRef, Fields, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use base64::Engine as _;

use super::DecodeError;
use super::number::{self, Decimal};
use super::time::{self, TimestampFormat};

/// Why a value was not taken; [`Column::refusal`] makes a sentence of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Not a value of the column's type.
    Type,
    /// Right in form, but beyond the type's range.
    Range,
    /// NULL in a NOT NULL column.
    Null,
    /// More text in one batch than 32-bit offsets can hold.
    Full,
    /// More values in one batch than memory is meant for.
    Large,
}

/// Bytes of values in one batch at most. A few bytes of input may stand for very many values: NULL in
/// columns that a record does not have, or elements of an array.
const MOST_BYTES: usize = 1 << 30;
/// Elements of an array after which it is looked at how much there is.
const LOOK_EVERY: usize = 1 << 16;

/// One column under construction.
pub(super) struct Column {
    pub(super) field: FieldRef,
    pub(super) nulls: NullBufferBuilder,
    pub(super) data: Data,
}

/// The values; null rows hold a default.
pub(super) enum Data {
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Text(Bytes),
    TextView(Bytes),
    Binary(Bytes),
    Date(Vec<i32>),
    Time32(Vec<i32>, TimeUnit),
    Time64(Vec<i64>, TimeUnit),
    /// The flag says whether the type is one with local time zone.
    Timestamp(Vec<i64>, TimeUnit, bool),
    Row(Vec<Column>, Fields),
    List(Vec<i32>, Box<Column>),
    /// Keys and values.
    Map(Vec<i32>, Box<Column>, Box<Column>, FieldRef),
}

/// Values of variable length.
pub(super) struct Bytes {
    pub(super) offsets: Vec<i32>,
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), Refused> {
        self.bytes.extend_from_slice(value);
        self.close()
    }

    /// Ends a value that was appended to `bytes` directly.
    #[inline]
    pub(super) fn close(&mut self) -> Result<(), Refused> {
        let Ok(end) = i32::try_from(self.bytes.len()) else {
            self.bytes.truncate(self.end());
            return Err(Refused::Full);
        };
        self.offsets.push(end);
        Ok(())
    }

    fn end(&self) -> usize {
        self.offsets.last().map_or(0, |&end| usize::try_from(end).unwrap_or(0))
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.end());
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let capacity = (self.offsets.len(), self.bytes.len());
        let taken = std::mem::replace(self, Self::new());
        self.offsets.reserve(capacity.0);
        self.bytes.reserve(capacity.1);
        (OffsetBuffer::new(taken.offsets.into()), Buffer::from_vec(taken.bytes))
    }
}

/// Takes the values and leaves room for as many.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let fresh = Vec::with_capacity(values.len());
    std::mem::replace(values, fresh)
}

fn array<P: ArrowPrimitiveType>(
    values: &mut Vec<P::Native>,
    nulls: Option<arrow::buffer::NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(take(values));
    let array = PrimitiveArray::<P>::try_new(values, nulls)?;
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

impl Column {
    /// A column for a field; the error names a type that text formats cannot hold.
    pub(super) fn new(field: &FieldRef) -> Result<Self, String> {
        let child = |field: &FieldRef| Self::new(field).map(Box::new);
        let data = match field.data_type() {
            DataType::Boolean => Data::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Data::Int8(Vec::new()),
            DataType::Int16 => Data::Int16(Vec::new()),
            DataType::Int32 => Data::Int32(Vec::new()),
            DataType::Int64 => Data::Int64(Vec::new()),
            DataType::Float32 => Data::Float32(Vec::new()),
            DataType::Float64 => Data::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => Data::Decimal(Vec::new(), *precision, *scale),
            DataType::Utf8 => Data::Text(Bytes::new()),
            DataType::Utf8View => Data::TextView(Bytes::new()),
            DataType::Binary => Data::Binary(Bytes::new()),
            DataType::Date32 => Data::Date(Vec::new()),
            DataType::Time32(unit) => Data::Time32(Vec::new(), *unit),
            DataType::Time64(unit) => Data::Time64(Vec::new(), *unit),
            DataType::Timestamp(unit, zone) => Data::Timestamp(Vec::new(), *unit, zone.is_some()),
            DataType::Struct(fields) => {
                let children = fields.iter().map(Self::new).collect::<Result<_, _>>()?;
                Data::Row(children, fields.clone())
            }
            DataType::List(item) => Data::List(vec![0], child(item)?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields)
                    if fields.len() == 2 && *fields[0].data_type() == DataType::Utf8 =>
                {
                    let (keys, values) = (child(&fields[0])?, child(&fields[1])?);
                    Data::Map(vec![0], keys, values, Arc::clone(entries))
                }
                _ => return Err(unsupported(field, "only MAP<STRING, …> has a text form")),
            },
            _ => return Err(unsupported(field, "this type has no text form")),
        };
        Ok(Self { field: Arc::clone(field), nulls: NullBufferBuilder::new(0), data })
    }

    /// Appends NULL.
    pub(super) fn push_null(&mut self) -> Result<(), Refused> {
        if !self.field.is_nullable() {
            return Err(Refused::Null);
        }
        self.push_default();
        self.nulls.append_null();
        Ok(())
    }

    /// A value that is there only because its row, or the row around it, is NULL.
    fn push_default(&mut self) {
        match &mut self.data {
            Data::Boolean(values) => values.append(false),
            Data::Int8(values) => values.push(0),
            Data::Int16(values) => values.push(0),
            Data::Int32(values) | Data::Date(values) | Data::Time32(values, _) => values.push(0),
            Data::Int64(values) | Data::Time64(values, _) | Data::Timestamp(values, ..) => {
                values.push(0);
            }
            Data::Float32(values) => values.push(0.0),
            Data::Float64(values) => values.push(0.0),
            Data::Decimal(values, ..) => values.push(0),
            Data::Text(values) | Data::TextView(values) | Data::Binary(values) => {
                let end = values.offsets.last().copied().unwrap_or(0);
                values.offsets.push(end);
            }
            Data::Row(children, _) => {
                for child in children {
                    child.push_default();
                    child.nulls.append(!child.field.is_nullable());
                }
            }
            Data::List(offsets, _) | Data::Map(offsets, ..) => {
                let end = offsets.last().copied().unwrap_or(0);
                offsets.push(end);
            }
        }
    }

    /// Ends a list or map after its elements were appended to the children.
    pub(super) fn close_list(&mut self) -> Result<(), Refused> {
        if let Data::List(offsets, child) | Data::Map(offsets, _, child, _) = &mut self.data {
            offsets.push(i32::try_from(child.len()).map_err(|_| Refused::Full)?);
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Appends a value from its text form: CSV, and JSON strings.
    pub(super) fn push_text(
        &mut self,
        text: &[u8],
        format: TimestampFormat,
    ) -> Result<(), Refused> {
        let trimmed = || number::trim(text);
        match &mut self.data {
            Data::Boolean(values) => {
                // Like Java's parseBoolean: whatever is not "true" is false.
                values.append(trimmed().eq_ignore_ascii_case(b"true"));
            }
            Data::Int8(_) | Data::Int16(_) | Data::Int32(_) | Data::Int64(_) => {
                let value = number::parse_i64(trimmed()).ok_or(Refused::Type)?;
                return self.push_i64(value);
            }
            Data::Float32(values) => {
                values.push(number::parse_f32(trimmed()).ok_or(Refused::Type)?);
            }
            Data::Float64(values) => {
                values.push(number::parse_f64(trimmed()).ok_or(Refused::Type)?);
            }
            Data::Decimal(values, precision, scale) => {
                match number::parse_decimal(trimmed(), *precision, *scale).ok_or(Refused::Type)? {
                    Decimal::Value(value) => values.push(value),
                    // Flink makes NULL of a decimal that does not fit.
                    Decimal::TooLarge => {
                        return self.push_null().map_err(|_| Refused::Range);
                    }
                }
            }
            Data::Text(values) | Data::TextView(values) => values.push(text)?,
            Data::Binary(values) => {
                if !base64(text, &mut values.bytes) {
                    values.bytes.truncate(values.end());
                    return Err(Refused::Type);
                }
                values.close()?;
            }
            Data::Date(values) => values.push(time::parse_date(text).ok_or(Refused::Type)?),
            Data::Time32(values, unit) => {
                let value = time::parse_time(text).and_then(|t| t.in_unit(*unit));
                let value = value.and_then(|v| i32::try_from(v).ok());
                values.push(value.ok_or(Refused::Type)?);
            }
            Data::Time64(values, unit) => {
                let value = time::parse_time(text).and_then(|t| t.in_unit(*unit));
                values.push(value.ok_or(Refused::Type)?);
            }
            Data::Timestamp(values, unit, zoned) => {
                let instant = time::parse_timestamp(text, format, *zoned).ok_or(Refused::Type)?;
                values.push(instant.in_unit(*unit).ok_or(Refused::Range)?);
            }
            Data::Row(..) | Data::List(..) | Data::Map(..) => return Err(Refused::Type),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Appends an integer to an integer column of any width.
    #[inline]
    pub(super) fn push_i64(&mut self, value: i64) -> Result<(), Refused> {
        match &mut self.data {
            Data::Int64(values) => values.push(value),
            Data::Int32(values) => values.push(value.try_into().map_err(|_| Refused::Range)?),
            Data::Int16(values) => values.push(value.try_into().map_err(|_| Refused::Range)?),
            Data::Int8(values) => values.push(value.try_into().map_err(|_| Refused::Range)?),
            _ => return Err(Refused::Type),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Rows in the column.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Boolean(values) => values.len(),
            Data::Int8(values) => values.len(),
            Data::Int16(values) => values.len(),
            Data::Int32(values) | Data::Date(values) | Data::Time32(values, _) => values.len(),
            Data::Int64(values) | Data::Time64(values, _) | Data::Timestamp(values, ..) => {
                values.len()
            }
            Data::Float32(values) => values.len(),
            Data::Float64(values) => values.len(),
            Data::Decimal(values, ..) => values.len(),
            Data::Text(values) | Data::TextView(values) | Data::Binary(values) => {
                values.offsets.len() - 1
            }
            // A row type without fields has only its validity to count by.
            Data::Row(..) => self.nulls.len(),
            Data::List(offsets, _) | Data::Map(offsets, ..) => offsets.len() - 1,
        }
    }

    /// Bytes of variable length that the column holds.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.data {
            Data::Text(values) | Data::TextView(values) | Data::Binary(values) => {
                values.bytes.len()
            }
            Data::Row(children, _) => children.iter().map(Self::text_bytes).sum(),
            Data::List(_, child) => child.text_bytes() + child.len() * 8,
            Data::Map(_, keys, values, _) => keys.text_bytes() + values.text_bytes(),
            _ => 0,
        }
    }

    /// Bytes that its values take, about.
    pub(super) fn bytes(&self) -> usize {
        let nested = match &self.data {
            Data::Boolean(values) => values.len() / 8,
            Data::Int8(values) => values.len(),
            Data::Int16(values) => 2 * values.len(),
            Data::Int32(values) | Data::Date(values) | Data::Time32(values, _) => 4 * values.len(),
            Data::Int64(values) | Data::Time64(values, _) | Data::Timestamp(values, ..) => {
                8 * values.len()
            }
            Data::Float32(values) => 4 * values.len(),
            Data::Float64(values) => 8 * values.len(),
            Data::Decimal(values, ..) => 16 * values.len(),
            Data::Text(values) | Data::TextView(values) | Data::Binary(values) => {
                values.bytes.len() + 4 * values.offsets.len()
            }
            Data::Row(children, _) => children.iter().map(Self::bytes).sum(),
            Data::List(offsets, child) => 4 * offsets.len() + child.bytes(),
            Data::Map(offsets, keys, values, _) => {
                4 * offsets.len() + keys.bytes() + values.bytes()
            }
        };
        nested + self.nulls.len() / 8
    }

    /// Whether there may be another of these elements of an array or map; looked at from time to time.
    ///
    /// # Errors
    /// When they are more than memory is meant for.
    pub(super) fn has_room(&self) -> Result<(), Refused> {
        match self.len().is_multiple_of(LOOK_EVERY) && self.bytes() > MOST_BYTES {
            true => Err(Refused::Large),
            false => Ok(()),
        }
    }

    /// Drops every row from `rows` on, half-built ones included.
    pub(super) fn truncate(&mut self, rows: usize) {
        if self.nulls.len() > rows {
            self.nulls.truncate(rows);
        }
        match &mut self.data {
            Data::Boolean(values) => {
                if values.len() > rows {
                    values.truncate(rows);
                }
            }
            Data::Int8(values) => values.truncate(rows),
            Data::Int16(values) => values.truncate(rows),
            Data::Int32(values) | Data::Date(values) | Data::Time32(values, _) => {
                values.truncate(rows);
            }
            Data::Int64(values) | Data::Time64(values, _) | Data::Timestamp(values, ..) => {
                values.truncate(rows);
            }
            Data::Float32(values) => values.truncate(rows),
            Data::Float64(values) => values.truncate(rows),
            Data::Decimal(values, ..) => values.truncate(rows),
            Data::Text(values) | Data::TextView(values) | Data::Binary(values) => {
                values.truncate(rows);
            }
            Data::Row(children, _) => children.iter_mut().for_each(|c| c.truncate(rows)),
            Data::List(offsets, child) => {
                offsets.truncate(rows + 1);
                child.truncate(last(offsets));
            }
            Data::Map(offsets, keys, values, _) => {
                offsets.truncate(rows + 1);
                keys.truncate(last(offsets));
                values.truncate(last(offsets));
            }
        }
    }

    /// Takes the rows as an array.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        // `finish` of a builder without nulls forgets neither its length nor its absence.
        let nulls = std::mem::replace(&mut self.nulls, NullBufferBuilder::new(0)).build();
        let data_type = self.field.data_type();
        Ok(match &mut self.data {
            Data::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Data::Int8(values) => array::<Int8Type>(values, nulls, data_type)?,
            Data::Int16(values) => array::<Int16Type>(values, nulls, data_type)?,
            Data::Int32(values) => array::<Int32Type>(values, nulls, data_type)?,
            Data::Int64(values) => array::<Int64Type>(values, nulls, data_type)?,
            Data::Float32(values) => array::<Float32Type>(values, nulls, data_type)?,
            Data::Float64(values) => array::<Float64Type>(values, nulls, data_type)?,
            Data::Decimal(values, precision, scale) => Arc::new(
                Decimal128Array::try_new(take(values).into(), nulls)?
                    .with_precision_and_scale(*precision, *scale)?,
            ),
            Data::Text(values) => {
                let (offsets, bytes) = values.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Data::TextView(values) => {
                let (offsets, bytes) = values.take();
                Arc::new(StringViewArray::from(&StringArray::try_new(offsets, bytes, nulls)?))
            }
            Data::Binary(values) => {
                let (offsets, bytes) = values.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Data::Date(values) => array::<Date32Type>(values, nulls, data_type)?,
            Data::Time32(values, TimeUnit::Second) => {
                array::<Time32SecondType>(values, nulls, data_type)?
            }
            Data::Time32(values, _) => array::<Time32MillisecondType>(values, nulls, data_type)?,
            Data::Time64(values, TimeUnit::Microsecond) => {
                array::<Time64MicrosecondType>(values, nulls, data_type)?
            }
            Data::Time64(values, _) => array::<Time64NanosecondType>(values, nulls, data_type)?,
            Data::Timestamp(values, unit, _) => match unit {
                TimeUnit::Second => array::<TimestampSecondType>(values, nulls, data_type)?,
                TimeUnit::Millisecond => {
                    array::<TimestampMillisecondType>(values, nulls, data_type)?
                }
                TimeUnit::Microsecond => {
                    array::<TimestampMicrosecondType>(values, nulls, data_type)?
                }
                TimeUnit::Nanosecond => array::<TimestampNanosecondType>(values, nulls, data_type)?,
            },
            Data::Row(children, fields) => {
                let arrays = children.iter_mut().map(Self::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), arrays, nulls)?)
            }
            Data::List(offsets, child) => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let item = Arc::clone(&child.field);
                Arc::new(ListArray::try_new(item, offsets, child.finish()?, nulls)?)
            }
            Data::Map(offsets, keys, values, entries) => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let fields = Fields::from(vec![Arc::clone(&keys.field), Arc::clone(&values.field)]);
                let columns = vec![keys.finish()?, values.finish()?];
                let pairs = StructArray::try_new(fields, columns, None)?;
                Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, false)?)
            }
        })
    }

    /// The sentence for a refused value.
    pub(super) fn refusal(&self, why: Refused, value: &[u8], format: TimestampFormat) -> String {
        let name = self.field.name();
        let type_name = match self.data {
            // A record's own fields would make a long sentence.
            Data::Row(..) => "ROW".to_owned(),
            Data::Map(..) => "MAP".to_owned(),
            _ => sql_type(&self.field),
        };
        let shown = shorten(value);
        match why {
            Refused::Null => format!(
                "column `{name}` is NOT NULL, but the record has no value; declare it without NOT NULL"
            ),
            Refused::Range => {
                format!("column `{name}`: {shown} is out of the range of {type_name}")
            }
            Refused::Full => format!("column `{name}`: more than 2 GiB of text in one batch"),
            Refused::Large => too_large(name),
            Refused::Type => {
                let wanted = match (&self.data, format) {
                    (Data::Timestamp(_, _, zoned), format) => {
                        let t = if format == TimestampFormat::Sql { ' ' } else { 'T' };
                        let z = if *zoned { "Z" } else { "" };
                        format!(", whose form is \"2001-01-31{t}06:30:00.123{z}\"")
                    }
                    (Data::Date(_), _) => ", whose form is \"2001-01-31\"".to_owned(),
                    (Data::Time32(..) | Data::Time64(..), _) => {
                        ", whose form is \"06:30:00\"".to_owned()
                    }
                    (Data::Binary(_), _) => ", whose form is base64".to_owned(),
                    _ => String::new(),
                };
                let article = article(&type_name);
                format!("column `{name}`: {shown} is not {article} {type_name}{wanted}")
            }
        }
    }
}

fn too_large(name: &str) -> String {
    format!("column `{name}`: values of more than {} GiB in one batch", MOST_BYTES >> 30)
}

/// That columns, together, hold no more than memory is meant for.
///
/// # Errors
/// The one that holds most.
pub(super) fn are_small(columns: &[Column]) -> Result<(), String> {
    if columns.iter().map(Column::bytes).sum::<usize>() <= MOST_BYTES {
        return Ok(());
    }
    let most = columns.iter().max_by_key(|column| column.bytes());
    Err(too_large(most.map_or("", |column| column.field.name())))
}

/// Appends what base64 text stands for, read as Flink's Jackson does: blanks may stand between
/// groups of four, a group with padding need not be the last, and bits that are left over say
/// nothing. `false`: it is no base64.
fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    const ENGINE: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    // Nearly always it is one piece without any of that.
    let start = out.len();
    if ENGINE.decode_vec(text, out).is_ok() {
        return true;
    }
    out.truncate(start);
    let mut rest = number::trim(text);
    while let Some((group, more)) = rest.split_at_checked(4) {
        if ENGINE.decode_vec(group, out).is_err() {
            return false;
        }
        rest = number::trim(more);
    }
    rest.is_empty()
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |&end| usize::try_from(end).unwrap_or(0))
}

/// The rows of a schema's columns, which start anew.
pub(super) fn finish(
    columns: &mut [Column],
    schema: &SchemaRef,
    rows: usize,
) -> Result<RecordBatch, DecodeError> {
    // Without columns the rows still count.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let columns = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>();
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(schema.clone(), columns, &options))
        .map_err(|error| DecodeError::columns(&error))
}

/// A value as errors show it: at most 60 characters.
pub(super) fn shorten(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn unsupported(field: &Field, why: &str) -> String {
    format!("column `{}` has the type {}: {why}", field.name(), sql_type(field))
}

/// The indefinite article before a type's name: an INT, an ARRAY, a BIGINT.
fn article(type_name: &str) -> &'static str {
    if type_name.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

/// The SQL name of a field's type.
pub(crate) fn sql_type(field: &Field) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match field.data_type() {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("DECIMAL({precision}, {scale})")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| format!("{} {}", field.name(), sql_type(field));
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::List(item) => format!("ARRAY<{}>", sql_type(item)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let parts: Vec<_> = pair.iter().map(|part| sql_type(part)).collect();
                format!("MAP<{}>", parts.join(", "))
            }
            _ => "MAP".to_owned(),
        },
        other => other.to_string(),
    }
}
