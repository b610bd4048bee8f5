//! Columns → Avro's bare datums.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, SchemaRef, Time32MillisecondType, Time32SecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampSecondType,
};

use super::cursor::{put_bytes, put_long};
use super::{AvroOptions, derive};
use crate::formats::{EncodeError, RecordEncoder};

/// Writes records; see the module.
pub struct AvroEncoder {
    schema: SchemaRef,
    derived: String,
}

impl AvroEncoder {
    /// An encoder of the columns of `schema`.
    ///
    /// # Errors
    /// When a column has no type of Avro; the message names column, cause and fix.
    pub fn new(schema: SchemaRef, options: AvroOptions) -> Result<Self, String> {
        let derived = derive::derive(&schema, options.legacy_timestamps)?;
        Ok(Self { schema, derived })
    }

    /// The schema of the records, as JSON.
    pub(super) fn derived(&self) -> &str {
        &self.derived
    }
}

impl RecordEncoder for AvroEncoder {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let fields = self.schema.fields().iter();
        let cells = fields.zip(batch.columns()).map(|(field, column)| Cells::new(field, column));
        let cells =
            cells.collect::<Result<Vec<_>, _>>().map_err(|message| EncodeError { message })?;
        for row in 0..batch.num_rows() {
            for cells in &cells {
                cells.write(row, out).map_err(|message| EncodeError { message })?;
            }
            end(out);
        }
        Ok(())
    }
}

/// The values of a column.
struct Cells<'a> {
    name: &'a str,
    nullable: bool,
    array: &'a dyn Array,
    of: Of<'a>,
}

enum Of<'a> {
    Boolean(&'a arrow::array::BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    /// Of the type int, logical or not, times so much.
    Int32(&'a [i32], i64),
    /// Of the type long, times so much.
    Int64(&'a [i64], i64),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Decimal(&'a [i128]),
    Text(&'a arrow::array::StringArray),
    TextView(&'a arrow::array::StringViewArray),
    Binary(&'a arrow::array::BinaryArray),
    Row(Vec<Cells<'a>>),
    List(&'a [i32], Box<Cells<'a>>),
    Map(&'a [i32], Box<Cells<'a>>, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn new(field: &'a Field, array: &'a ArrayRef) -> Result<Self, String> {
        let other = |array: &dyn Array| {
            Err(format!(
                "column `{}`: {} is no type of 'avro'; this is a bug",
                field.name(),
                array.data_type()
            ))
        };
        let of = match array.data_type() {
            DataType::Boolean => Of::Boolean(array.as_boolean()),
            DataType::Int8 => Of::Int8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Of::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Of::Int32(array.as_primitive::<Int32Type>().values(), 1),
            DataType::Int64 => Of::Int64(array.as_primitive::<Int64Type>().values(), 1),
            DataType::Float32 => Of::Float(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Of::Double(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(..) => {
                Of::Decimal(array.as_primitive::<Decimal128Type>().values())
            }
            DataType::Utf8 => Of::Text(array.as_string()),
            DataType::Utf8View => Of::TextView(array.as_string_view()),
            DataType::Binary => Of::Binary(array.as_binary()),
            DataType::Date32 => Of::Int32(array.as_primitive::<Date32Type>().values(), 1),
            DataType::Time32(TimeUnit::Second) => {
                Of::Int32(array.as_primitive::<Time32SecondType>().values(), 1_000)
            }
            DataType::Time32(_) => {
                Of::Int32(array.as_primitive::<Time32MillisecondType>().values(), 1)
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                Of::Int64(array.as_primitive::<TimestampSecondType>().values(), 1_000)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Of::Int64(array.as_primitive::<TimestampMillisecondType>().values(), 1)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Of::Int64(array.as_primitive::<TimestampMicrosecondType>().values(), 1)
            }
            DataType::Struct(fields) => {
                let children = fields.iter().zip(array.as_struct().columns());
                let children = children.map(|(field, column)| Cells::new(field, column));
                Of::Row(children.collect::<Result<_, _>>()?)
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Of::List(list.value_offsets(), Box::new(Cells::new(item, list.values())?))
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let DataType::Struct(pair) = entries.data_type() else { return other(array) };
                let (Some(key), Some(value)) = (pair.first(), pair.get(1)) else {
                    return other(array);
                };
                Of::Map(
                    map.value_offsets(),
                    Box::new(Cells::new(key, map.keys())?),
                    Box::new(Cells::new(value, map.values())?),
                )
            }
            _ => return other(array),
        };
        Ok(Self { name: field.name(), nullable: field.is_nullable(), array, of })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let is_null = self.array.is_null(row);
        if self.nullable {
            // The branches of the union: NULL, and everything else.
            put_long(out, i64::from(!is_null));
            if is_null {
                return Ok(());
            }
        } else if is_null {
            return Err(format!("column `{}` is NOT NULL, and the row has NULL", self.name));
        }
        self.value(row, out)
    }

    fn value(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        match &self.of {
            Of::Boolean(values) => out.push(u8::from(values.value(row))),
            Of::Int8(values) => put_long(out, values[row].into()),
            Of::Int16(values) => put_long(out, values[row].into()),
            Of::Int32(values, times) => put_long(out, i64::from(values[row]) * times),
            Of::Int64(values, times) => {
                let value = values[row].checked_mul(*times).ok_or_else(|| {
                    format!("column `{}`: {} s are beyond a long of Avro", self.name, values[row])
                })?;
                put_long(out, value);
            }
            Of::Float(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Of::Double(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Of::Decimal(values) => put_bytes(out, shortest(&values[row].to_be_bytes())),
            Of::Text(values) => put_bytes(out, values.value(row).as_bytes()),
            Of::TextView(values) => put_bytes(out, values.value(row).as_bytes()),
            Of::Binary(values) => put_bytes(out, values.value(row)),
            Of::Row(children) => {
                children.iter().try_for_each(|child| child.write(row, out))?;
            }
            Of::List(offsets, item) => {
                let elements = elements(offsets, row);
                if !elements.is_empty() {
                    put_long(out, i64::try_from(elements.len()).unwrap_or(i64::MAX));
                    elements.into_iter().try_for_each(|at| item.write(at, out))?;
                }
                put_long(out, 0);
            }
            Of::Map(offsets, keys, values) => {
                let elements = elements(offsets, row);
                if !elements.is_empty() {
                    put_long(out, i64::try_from(elements.len()).unwrap_or(i64::MAX));
                    for at in elements {
                        keys.value(at, out)?;
                        values.write(at, out)?;
                    }
                }
                put_long(out, 0);
            }
        }
        Ok(())
    }
}

fn elements(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    // Offsets of Arrow are never negative.
    let at = |index: usize| usize::try_from(offsets[index]).unwrap_or_default();
    at(row)..at(row + 1)
}

/// Two's complement without bytes that only repeat the sign.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let repeats = |pair: &[u8]| {
        matches!(pair, [0, next] if next & 0x80 == 0)
            || matches!(pair, [0xff, next] if next & 0x80 != 0)
    };
    let spare = bytes.windows(2).take_while(|pair| repeats(pair)).count();
    &bytes[spare..]
}
