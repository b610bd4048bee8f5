//! Columns as bytes, for the blocks of segments. Version 1.
//!
//! A column is written as: a byte saying whether a validity bitmap follows; the bitmap, least
//! significant bit first; then the values, little-endian. Numbers, dates and times take their
//! type's width, DECIMAL 16 bytes, strings a u32 length each and then all bytes, lists a u32
//! length each, then the number of all items as u32, then the items as a column.
//! Types are not written: whoever reads knows them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::error::ArrowError;

use crate::UnsupportedType;
use crate::canonical::{
    BytesColumn, DecodeError, Form, Shape, from_bytes, from_words, nested_from_bytes,
    nested_to_bytes, to_words,
};

/// Bytes that do not hold the column they should.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the bytes of a column end too early")]
    Short,
    /// The column's type.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// A value that is made of others.
    #[error(transparent)]
    Nested(#[from] DecodeError),
    /// The column cannot be built.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Takes `n` bytes off the front.
///
/// # Errors
/// When there are fewer.
pub fn take_bytes<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], CodecError> {
    let (head, rest) = bytes.split_at_checked(n).ok_or(CodecError::Short)?;
    *bytes = rest;
    Ok(head)
}

/// Takes `N` bytes off the front.
///
/// # Errors
/// When there are fewer.
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(CodecError::Short)?;
    *bytes = rest;
    Ok(*head)
}

/// Takes a u32 off the front.
///
/// # Errors
/// When there are fewer than four bytes.
pub fn take_u32(bytes: &mut &[u8]) -> Result<u32, CodecError> {
    take_array(bytes).map(u32::from_le_bytes)
}

/// Appends a column.
///
/// # Errors
/// When state cannot hold the type.
pub fn encode_column(array: &dyn Array, out: &mut Vec<u8>) -> Result<(), UnsupportedType> {
    let nulls = array.nulls().filter(|n| n.null_count() > 0);
    out.push(u8::from(nulls.is_some()));
    if let Some(nulls) = nulls {
        let start = out.len();
        out.resize(start + array.len().div_ceil(8), 0);
        for row in nulls.valid_indices() {
            out[start + row / 8] |= 1 << (row % 8);
        }
    }
    if let DataType::List(_) = array.data_type() {
        return encode_list(array.as_list(), out);
    }
    let bytes = |values: BytesColumn<'_>, out: &mut Vec<u8>| {
        let value = |row| {
            if array.is_null(row) { &[] } else { values.value(row) }
        };
        for row in 0..array.len() {
            out.extend_from_slice(&(value(row).len() as u32).to_le_bytes());
        }
        for row in 0..array.len() {
            out.extend_from_slice(value(row));
        }
    };
    match Shape::of(array.data_type())? {
        Shape::Word { width, .. } => {
            for word in to_words(array)?.iter() {
                out.extend_from_slice(&word.to_le_bytes()[..width]);
            }
        }
        Shape::Wide { .. } => {
            for value in array.as_primitive::<Decimal128Type>().values() {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        Shape::Bytes { .. } => {
            let values =
                BytesColumn::of(array).ok_or_else(|| UnsupportedType(array.data_type().clone()))?;
            bytes(values, out);
        }
        Shape::Nested { .. } => {
            bytes(BytesColumn::Binary(&nested_to_bytes(array, Form::Value)?), out);
        }
    }
    Ok(())
}

fn encode_list(list: &ListArray, out: &mut Vec<u8>) -> Result<(), UnsupportedType> {
    let offsets = list.value_offsets();
    for pair in offsets.windows(2) {
        out.extend_from_slice(&((pair[1] - pair[0]) as u32).to_le_bytes());
    }
    let (first, last) = (offsets[0] as usize, offsets[list.len()] as usize);
    out.extend_from_slice(&((last - first) as u32).to_le_bytes());
    encode_column(list.values().slice(first, last - first).as_ref(), out)
}

/// Takes a column of `rows` rows off the front.
///
/// # Errors
/// When the bytes do not hold it.
pub fn decode_column(
    data_type: &DataType,
    rows: usize,
    bytes: &mut &[u8],
) -> Result<ArrayRef, CodecError> {
    let [flag] = take_array(bytes)?;
    let nulls = if flag == 0 {
        None
    } else {
        let bits = take_bytes(bytes, rows.div_ceil(8))?;
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from(bits), 0, rows)))
    };
    if let DataType::List(item) = data_type {
        let lengths = take_lengths(bytes, rows)?;
        let items = take_u32(bytes)? as usize;
        if lengths.iter().sum::<usize>() != items {
            return Err(CodecError::Short);
        }
        let values = decode_column(item.data_type(), items, bytes)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        return Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?));
    }
    match Shape::of(data_type)? {
        Shape::Word { width, .. } => {
            let words = take_bytes(bytes, rows * width)?
                .chunks_exact(width)
                .map(|chunk| {
                    let mut word = [0; 8];
                    word[..width].copy_from_slice(chunk);
                    u64::from_le_bytes(word)
                })
                .collect();
            Ok(from_words(data_type, words, nulls)?)
        }
        Shape::Wide { .. } => {
            let mut values = Vec::with_capacity(rows);
            for _ in 0..rows {
                values.push(i128::from_le_bytes(take_array(bytes)?));
            }
            let array = Decimal128Array::new(values.into(), nulls);
            Ok(Arc::new(array.with_data_type(data_type.clone())))
        }
        shape @ (Shape::Bytes { .. } | Shape::Nested { .. }) => {
            let lengths = take_lengths(bytes, rows)?;
            let mut all = take_bytes(bytes, lengths.iter().sum())?;
            let values = lengths.iter().enumerate().map(|(row, &len)| {
                let (value, rest) = all.split_at(len);
                all = rest;
                nulls.as_ref().is_none_or(|n| n.is_valid(row)).then_some(value)
            });
            Ok(match shape {
                Shape::Nested { .. } => nested_from_bytes(data_type, values)?,
                _ => from_bytes(data_type, values)?,
            })
        }
    }
}

fn take_lengths(bytes: &mut &[u8], rows: usize) -> Result<Vec<usize>, CodecError> {
    (0..rows).map(|_| take_u32(bytes).map(|n| n as usize)).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::*;
    use arrow::compute::nullif;
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn check(array: ArrayRef) {
        let mut out = Vec::new();
        encode_column(array.as_ref(), &mut out).unwrap();
        let mut rest = out.as_slice();
        assert_eq!(&decode_column(array.data_type(), array.len(), &mut rest).unwrap(), &array);
        assert!(rest.is_empty());
        let mut short = &out[..out.len() - 1];
        decode_column(array.data_type(), array.len(), &mut short).unwrap_err();
    }

    #[test]
    fn columns_come_back_as_they_were() {
        check(Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)])));
        check(Arc::new(Int8Array::from(vec![-1, 0, 127])));
        check(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])));
        check(Arc::new(Float32Array::from(vec![1.5, -2.5])));
        check(Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("ß")])));
        check(Arc::new(StringViewArray::from(vec![Some("a string beyond twelve bytes"), None])));
        check(Arc::new(
            Decimal128Array::from(vec![Some(-7), None]).with_precision_and_scale(38, 3).unwrap(),
        ));
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![]),
            Some(vec![None]),
        ]);
        check(Arc::new(list.clone()));
        check(Arc::new(list.slice(1, 3)));
        check(Arc::new(StringArray::from(vec!["ab", "cd", "ef"]).slice(1, 2)));
        let named = |name: &str, column: ArrayRef| {
            (Arc::new(Field::new(name, column.data_type().clone(), true)), column)
        };
        let rows = StructArray::from(vec![
            named("n", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN)]))),
            named("list", Arc::new(list.slice(1, 3))),
        ]);
        check(Arc::new(rows.clone()));
        check(Arc::new(rows.slice(1, 2)));
        check(nullif(&rows, &BooleanArray::from(vec![true, true, false])).unwrap());
    }
}
