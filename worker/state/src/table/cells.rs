//! Arrow columns as values, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float32Array, Float64Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use arrow::error::ArrowError;

use crate::UnsupportedType;
use crate::canonical::{
    BytesColumn, Form, Shape, from_bytes, from_words, nested_from_bytes, nested_to_bytes, to_words,
};
use crate::sorted::Value;

use super::{Field, TableError};

/// How the values of a column are held in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CellKind {
    /// BOOLEAN.
    Bool,
    /// Integers, dates and times of at most 32 bits with sign: `i32`.
    Int,
    /// Longer ones: `i64`, of UInt64 the bits.
    Long,
    /// FLOAT and DOUBLE: `f64`.
    Double,
    /// DECIMAL: `i128`.
    Wide,
    /// Strings and bytes, and values that are made of others, as bytes.
    Bytes,
}

impl CellKind {
    /// How a type is held that state can hold.
    #[must_use]
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::Date32
            | DataType::Time32(_) => Self::Int,
            DataType::Float32 | DataType::Float64 => Self::Double,
            DataType::Decimal128(..) => Self::Wide,
            other => match Shape::of(other) {
                Ok(Shape::Word { .. }) => Self::Long,
                _ => Self::Bytes,
            },
        }
    }
}

enum Values<'a> {
    Words(ScalarBuffer<u64>),
    Wides(&'a Decimal128Array),
    Bytes(BytesColumn<'a>),
    Nested(BinaryArray),
}

/// An Arrow column, to be read value by value.
pub(crate) struct Cells<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Cells<'a> {
    /// Values of this column of a table, without a NULL where its schema has none.
    pub(crate) fn of_field(array: &'a dyn Array, field: &Field) -> Result<Self, TableError> {
        if !field.nullable && array.null_count() > 0 {
            return Err(TableError::Null(field.name.clone()));
        }
        Ok(Self::of(array, &field.data_type)?)
    }

    /// The column, which must be of this type.
    pub(crate) fn of(array: &'a dyn Array, wanted: &DataType) -> Result<Self, UnsupportedType> {
        let unsupported = || UnsupportedType(array.data_type().clone());
        if array.data_type() != wanted {
            return Err(unsupported());
        }
        let values = match (wanted, Shape::of(wanted)?) {
            (DataType::Float32, _) => {
                let floats = array.as_primitive::<Float32Type>().values();
                Values::Words(floats.iter().map(|&v| f64::from(v).to_bits()).collect())
            }
            (DataType::Float64, _) => {
                let floats = array.as_primitive::<Float64Type>().values();
                Values::Words(ScalarBuffer::from(floats.inner().clone()))
            }
            (_, Shape::Word { .. }) => Values::Words(to_words(array)?),
            (_, Shape::Wide { .. }) => Values::Wides(array.as_primitive::<Decimal128Type>()),
            (_, Shape::Bytes { .. }) => {
                Values::Bytes(BytesColumn::of(array).ok_or_else(unsupported)?)
            }
            (_, Shape::Nested { .. }) => Values::Nested(nested_to_bytes(array, Form::Value)?),
        };
        Ok(Self { values, nulls: array.nulls().filter(|nulls| nulls.null_count() > 0) })
    }

    #[inline]
    pub(crate) fn value(&self, row: usize) -> Value<'_> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Value::Null;
        }
        match &self.values {
            Values::Words(words) => Value::Word(words[row]),
            Values::Wides(wides) => Value::Wide(wides.value(row)),
            Values::Bytes(bytes) => Value::Bytes(bytes.value(row)),
            Values::Nested(bytes) => Value::Bytes(bytes.value(row)),
        }
    }
}

/// A column of this type from its values.
///
/// # Errors
/// When a string is not UTF-8, or bytes are not of the type, which only damaged state can be.
pub(crate) fn build_array<'a>(
    data_type: &DataType,
    values: impl Iterator<Item = Value<'a>>,
) -> Result<ArrayRef, ArrowError> {
    let external = |error: UnsupportedType| ArrowError::ExternalError(Box::new(error));
    match (data_type, Shape::of(data_type).map_err(external)?) {
        (_, Shape::Bytes { .. }) => from_bytes(data_type, values.map(bytes_of)),
        (_, Shape::Nested { .. }) => nested_from_bytes(data_type, values.map(bytes_of))
            .map_err(|error| ArrowError::ExternalError(Box::new(error))),
        (_, Shape::Wide { .. }) => {
            let wide = |value| if let Value::Wide(wide) = value { Some(wide) } else { None };
            let array: Decimal128Array = values.map(wide).collect();
            Ok(Arc::new(array.with_data_type(data_type.clone())))
        }
        (_, Shape::Word { .. }) => {
            let mut valid = Vec::new();
            let words: Vec<u64> = values
                .map(|value| {
                    valid.push(value != Value::Null);
                    if let Value::Word(word) = value { word } else { 0 }
                })
                .collect();
            let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
            let floats = || words.iter().map(|&word| f64::from_bits(word));
            Ok(match data_type {
                DataType::Float32 => {
                    Arc::new(Float32Array::new(floats().map(|v| v as f32).collect(), nulls))
                }
                DataType::Float64 => Arc::new(Float64Array::new(floats().collect(), nulls)),
                _ => from_words(data_type, words, nulls).map_err(external)?,
            })
        }
    }
}

fn bytes_of(value: Value<'_>) -> Option<&[u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}
