//! The canonical encoding of keys, version 1. It never changes.
//!
//! A key is the concatenation of its columns. A NULL is the byte 0; any other value is a tag and
//! its bytes, little-endian, of the type's own width:
//!
//! | type | tag | bytes |
//! |---|---|---|
//! | BOOLEAN | 1 | 1 |
//! | Int8, Int16, Int32, Int64 | 2, 3, 4, 5 | 1, 2, 4, 8 |
//! | UInt8, UInt16, UInt32, UInt64 | 6, 7, 8, 9 | 1, 2, 4, 8 |
//! | Float32, Float64 | 10, 11 | 4, 8; −0.0 is 0.0, and there is one NaN |
//! | Utf8, LargeUtf8, Utf8View | 12 | length as u32, then the bytes |
//! | Binary, LargeBinary, BinaryView | 13 | length as u32, then the bytes |
//! | Date32, Date64 | 14, 15 | 4, 8 |
//! | Timestamp s, ms, µs, ns | 16, 17, 18, 19 | 8; the zone is not part of it |
//! | Time32 s, ms; Time64 µs, ns | 20, 21; 22, 23 | 4, 8 |
//! | Decimal128 | 24 | the scale, then 16; the precision is not part of it |
//! | List | 25 | number of elements as u32, then the elements as columns |
//! | Struct | 26 | the fields as columns; their names are not part of it |
//! | Map | 27 | number of entries as u32, then key and value of each as columns, sorted by their bytes: a map has no order |
//!
//! Values of the last three are kept in rows as the same bytes, but for what a key does not
//! distinguish: a row's value keeps the bits of floats and the order of a map ([`Form::Value`]).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Decimal128Array,
    PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::error::ArrowError;

use crate::UnsupportedType;

pub use nested::parts;

use nested::Parts;

mod nested;

/// Version of the encoding described above.
pub const VERSION: u32 = 1;

const UTF8: u8 = 12;
const BINARY: u8 = 13;
const DECIMAL: u8 = 24;
const LIST: u8 = 25;
const STRUCT: u8 = 26;
const MAP: u8 = 27;
const NULL: u8 = 0;

/// How values of a type are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// As one 64-bit word; `width` bytes of it are in the canonical encoding.
    Word {
        /// The type's tag.
        tag: u8,
        /// Its width in bytes.
        width: usize,
    },
    /// As a 128-bit number with a scale.
    Wide {
        /// Digits after the point.
        scale: i8,
    },
    /// As bytes.
    Bytes {
        /// The type's tag.
        tag: u8,
    },
    /// Made of other values: as the bytes of [`nested_to_bytes`].
    Nested {
        /// The type's tag.
        tag: u8,
    },
}

impl Shape {
    /// The shape of a type's values.
    ///
    /// # Errors
    /// When state cannot hold the type.
    pub fn of(data_type: &DataType) -> Result<Self, UnsupportedType> {
        let word = |tag, width| Ok(Self::Word { tag, width });
        match data_type {
            DataType::Boolean => word(1, 1),
            DataType::Int8 => word(2, 1),
            DataType::Int16 => word(3, 2),
            DataType::Int32 => word(4, 4),
            DataType::Int64 => word(5, 8),
            DataType::UInt8 => word(6, 1),
            DataType::UInt16 => word(7, 2),
            DataType::UInt32 => word(8, 4),
            DataType::UInt64 => word(9, 8),
            DataType::Float32 => word(10, 4),
            DataType::Float64 => word(11, 8),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Ok(Self::Bytes { tag: UTF8 })
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Ok(Self::Bytes { tag: BINARY })
            }
            DataType::Date32 => word(14, 4),
            DataType::Date64 => word(15, 8),
            DataType::Timestamp(TimeUnit::Second, _) => word(16, 8),
            DataType::Timestamp(TimeUnit::Millisecond, _) => word(17, 8),
            DataType::Timestamp(TimeUnit::Microsecond, _) => word(18, 8),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => word(19, 8),
            DataType::Time32(TimeUnit::Second) => word(20, 4),
            DataType::Time32(TimeUnit::Millisecond) => word(21, 4),
            DataType::Time64(TimeUnit::Microsecond) => word(22, 8),
            DataType::Time64(TimeUnit::Nanosecond) => word(23, 8),
            DataType::Decimal128(_, scale) => Ok(Self::Wide { scale: *scale }),
            DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => {
                parts(data_type).iter().try_for_each(|part| Self::of(part).map(|_| ()))?;
                let tag = match data_type {
                    DataType::List(_) => LIST,
                    DataType::Struct(_) => STRUCT,
                    _ => MAP,
                };
                Ok(Self::Nested { tag })
            }
            other => Err(UnsupportedType(other.clone())),
        }
    }
}

/// What of a value that is made of others is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// What tells keys apart: there is one zero and one NaN, and a map has no order.
    Key,
    /// All of it.
    Value,
}

/// The values of a column of [`Shape::Nested`], as bytes.
///
/// # Errors
/// When a part has a type that state cannot hold.
pub fn nested_to_bytes(array: &dyn Array, form: Form) -> Result<BinaryArray, UnsupportedType> {
    let column = KeyColumn::of(array, form)?;
    let mut builder = BinaryBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if column.is_null(row) {
            builder.append_null();
        } else {
            bytes.clear();
            column.encode(row, &mut bytes);
            builder.append_value(&bytes);
        }
    }
    Ok(builder.finish())
}

/// The column that [`nested_to_bytes`] was made from.
///
/// # Errors
/// When the bytes do not fit the type.
pub fn nested_from_bytes<'a>(
    data_type: &DataType,
    values: impl Iterator<Item = Option<&'a [u8]>>,
) -> Result<ArrayRef, DecodeError> {
    let mut decoder = Decoder::new(data_type, values.size_hint().0)?;
    for value in values {
        let mut bytes = value.unwrap_or(&[NULL]);
        let taken = decoder.take(&mut bytes);
        taken
            .filter(|()| bytes.is_empty())
            .ok_or_else(|| DecodeError::Mismatch(data_type.clone()))?;
    }
    decoder.finish()
}

/// Applies a macro to the primitive types that fit in a word and need no normalising.
macro_rules! with_primitive {
    ($data_type:expr, $apply:ident, $other:expr) => {
        match $data_type {
            DataType::Int8 => $apply!(Int8Type),
            DataType::Int16 => $apply!(Int16Type),
            DataType::Int32 => $apply!(Int32Type),
            DataType::Int64 => $apply!(Int64Type),
            DataType::UInt8 => $apply!(UInt8Type),
            DataType::UInt16 => $apply!(UInt16Type),
            DataType::UInt32 => $apply!(UInt32Type),
            DataType::UInt64 => $apply!(UInt64Type),
            DataType::Date32 => $apply!(Date32Type),
            DataType::Date64 => $apply!(Date64Type),
            DataType::Timestamp(TimeUnit::Second, _) => $apply!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => $apply!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => $apply!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => $apply!(TimestampNanosecondType),
            DataType::Time32(TimeUnit::Second) => $apply!(Time32SecondType),
            DataType::Time32(TimeUnit::Millisecond) => $apply!(Time32MillisecondType),
            DataType::Time64(TimeUnit::Microsecond) => $apply!(Time64MicrosecondType),
            DataType::Time64(TimeUnit::Nanosecond) => $apply!(Time64NanosecondType),
            _ => $other,
        }
    };
}

/// A float's bits with one zero and one NaN.
#[must_use]
#[inline]
pub fn float64_bits(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        f64::NAN.to_bits() & !(1 << 63)
    } else {
        value.to_bits()
    }
}

/// As [`float64_bits`], for 32 bits.
#[must_use]
#[inline]
pub fn float32_bits(value: f32) -> u32 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        f32::NAN.to_bits() & !(1 << 31)
    } else {
        value.to_bits()
    }
}

/// The values of a column of [`Shape::Word`], one word each; what stands where the column is
/// NULL is not defined. Without copying for types of 64 bits that need no normalising.
///
/// # Errors
/// When the type has another shape.
pub fn to_words(array: &dyn Array) -> Result<ScalarBuffer<u64>, UnsupportedType> {
    macro_rules! widen {
        ($t:ty) => {{
            let values = array.as_primitive::<$t>().values();
            if size_of::<<$t as ArrowPrimitiveType>::Native>() == 8 {
                Ok(ScalarBuffer::from(values.inner().clone()))
            } else {
                Ok(values.iter().map(|&v| v as u64).collect())
            }
        }};
    }
    match array.data_type() {
        DataType::Boolean => Ok(array.as_boolean().values().iter().map(u64::from).collect()),
        DataType::Float32 => Ok(array
            .as_primitive::<Float32Type>()
            .values()
            .iter()
            .map(|&v| u64::from(float32_bits(v)))
            .collect()),
        DataType::Float64 => Ok(array
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|&v| float64_bits(v))
            .collect()),
        other => with_primitive!(other, widen, Err(UnsupportedType(other.clone()))),
    }
}

/// The column that [`to_words`] was made from.
///
/// # Errors
/// When the type has another shape.
pub fn from_words(
    data_type: &DataType,
    words: Vec<u64>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, UnsupportedType> {
    macro_rules! narrow {
        ($t:ty) => {{
            let values: Vec<_> =
                words.into_iter().map(|w| w as <$t as ArrowPrimitiveType>::Native).collect();
            Ok(Arc::new(
                PrimitiveArray::<$t>::new(values.into(), nulls).with_data_type(data_type.clone()),
            ))
        }};
    }
    match data_type {
        DataType::Boolean => {
            let bits = BooleanBuffer::from_iter(words.into_iter().map(|w| w != 0));
            Ok(Arc::new(BooleanArray::new(bits, nulls)))
        }
        DataType::Float32 => {
            let values: Vec<_> = words.into_iter().map(|w| f32::from_bits(w as u32)).collect();
            Ok(Arc::new(PrimitiveArray::<Float32Type>::new(values.into(), nulls)))
        }
        DataType::Float64 => {
            let values: Vec<_> = words.into_iter().map(f64::from_bits).collect();
            Ok(Arc::new(PrimitiveArray::<Float64Type>::new(values.into(), nulls)))
        }
        other => with_primitive!(other, narrow, Err(UnsupportedType(other.clone()))),
    }
}

/// Any of Arrow's arrays of strings or bytes, read as bytes.
#[derive(Clone, Copy, Debug)]
pub enum BytesColumn<'a> {
    /// `Utf8`.
    Utf8(&'a arrow::array::StringArray),
    /// `LargeUtf8`.
    LargeUtf8(&'a arrow::array::LargeStringArray),
    /// `Utf8View`.
    Utf8View(&'a arrow::array::StringViewArray),
    /// `Binary`.
    Binary(&'a arrow::array::BinaryArray),
    /// `LargeBinary`.
    LargeBinary(&'a arrow::array::LargeBinaryArray),
    /// `BinaryView`.
    BinaryView(&'a arrow::array::BinaryViewArray),
}

impl<'a> BytesColumn<'a> {
    /// The column, if it is of strings or bytes.
    #[must_use]
    pub fn of(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Utf8 => Self::Utf8(array.as_string()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view()),
            _ => return None,
        })
    }

    /// The bytes in a row that is not NULL.
    #[must_use]
    #[inline]
    pub fn value(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Utf8(a) => a.value(row).as_bytes(),
            Self::LargeUtf8(a) => a.value(row).as_bytes(),
            Self::Utf8View(a) => a.value(row).as_bytes(),
            Self::Binary(a) => a.value(row),
            Self::LargeBinary(a) => a.value(row),
            Self::BinaryView(a) => a.value(row),
        }
    }
}

/// A column of strings or bytes from its values.
///
/// # Errors
/// When a string is not UTF-8, which only damaged state can be.
pub fn from_bytes<'a>(
    data_type: &DataType,
    values: impl Iterator<Item = Option<&'a [u8]>>,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = BinaryBuilder::new();
    for value in values {
        builder.append_option(value);
    }
    let array: ArrayRef = Arc::new(builder.finish());
    if *data_type == DataType::Binary { Ok(array) } else { cast(&array, data_type) }
}

enum Values<'a> {
    Null,
    Word { tag: u8, width: usize, words: ScalarBuffer<u64> },
    Wide { scale: i8, values: &'a Decimal128Array },
    Bytes { tag: u8, values: BytesColumn<'a> },
    Nested { tag: u8, parts: Parts<'a> },
}

/// A key column, ready to be encoded row by row.
pub(crate) struct KeyColumn<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> KeyColumn<'a> {
    /// NULL in every row.
    pub(crate) const NULL: Self = Self { values: Values::Null, nulls: None };

    pub(crate) fn new(array: &'a dyn Array) -> Result<Self, UnsupportedType> {
        Self::of(array, Form::Key)
    }

    fn of(array: &'a dyn Array, form: Form) -> Result<Self, UnsupportedType> {
        let unsupported = || UnsupportedType(array.data_type().clone());
        let values = match Shape::of(array.data_type())? {
            Shape::Word { tag, width } => {
                let words = match form {
                    Form::Key => to_words(array)?,
                    Form::Value => nested::exact_words(array)?,
                };
                Values::Word { tag, width, words }
            }
            Shape::Nested { tag } => Values::Nested { tag, parts: Parts::of(array, form)? },
            Shape::Wide { scale } => Values::Wide { scale, values: array.as_primitive() },
            Shape::Bytes { tag } => {
                Values::Bytes { tag, values: BytesColumn::of(array).ok_or_else(unsupported)? }
            }
        };
        Ok(Self { values, nulls: array.nulls().filter(|n| n.null_count() > 0) })
    }

    /// Bytes that a value needs at most when the width is fixed.
    pub(crate) fn fixed(&self) -> Option<usize> {
        match self.values {
            Values::Word { width, .. } => Some(1 + width),
            Values::Wide { .. } => Some(18),
            Values::Null | Values::Bytes { .. } | Values::Nested { .. } => None,
        }
    }

    /// The word column, when it is one: its tag, width and words.
    pub(crate) fn words(&self) -> Option<(u8, usize, &[u64])> {
        match &self.values {
            Values::Word { tag, width, words } => Some((*tag, *width, words)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|n| n.is_null(row))
    }

    pub(crate) fn has_nulls(&self) -> bool {
        self.nulls.is_some()
    }

    /// Appends the canonical bytes of a row.
    #[inline]
    pub(crate) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(NULL);
            return;
        }
        match &self.values {
            Values::Null => out.push(NULL),
            Values::Word { tag, width, words } => {
                out.push(*tag);
                out.extend_from_slice(&words[row].to_le_bytes()[..*width]);
            }
            Values::Wide { scale, values } => {
                out.push(DECIMAL);
                out.push(*scale as u8);
                out.extend_from_slice(&values.value(row).to_le_bytes());
            }
            Values::Bytes { tag, values } => {
                let bytes = values.value(row);
                out.push(*tag);
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Values::Nested { tag, parts } => {
                out.push(*tag);
                parts.encode(row, out);
            }
        }
    }
}

/// Appends the canonical bytes of each row and calls `each` with the bytes so far after it.
///
/// # Errors
/// When a column has a type that state cannot hold.
pub fn encode_rows(
    columns: &[ArrayRef],
    rows: usize,
    out: &mut Vec<u8>,
    mut each: impl FnMut(&mut Vec<u8>),
) -> Result<(), UnsupportedType> {
    let columns: Vec<KeyColumn<'_>> =
        columns.iter().map(|c| KeyColumn::new(c.as_ref())).collect::<Result<_, _>>()?;
    for row in 0..rows {
        for column in &columns {
            column.encode(row, out);
        }
        each(out);
    }
    Ok(())
}

/// Canonical bytes that cannot be of the types they should be of.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end early or carry another tag.
    #[error("a stored key does not fit the type {0}")]
    Mismatch(DataType),
    /// The column's type.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// The column cannot be built.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

enum Decoded<'a> {
    Word(Vec<u64>),
    Wide(Vec<i128>),
    Bytes(Vec<u8>, Vec<usize>),
    Nested(nested::Decoded<'a>),
}

struct Decoder<'a> {
    data_type: &'a DataType,
    shape: Shape,
    values: Decoded<'a>,
    valid: Vec<bool>,
}

impl<'a> Decoder<'a> {
    fn new(data_type: &'a DataType, rows: usize) -> Result<Self, UnsupportedType> {
        let shape = Shape::of(data_type)?;
        let values = match shape {
            Shape::Word { .. } => Decoded::Word(Vec::with_capacity(rows)),
            Shape::Wide { .. } => Decoded::Wide(Vec::with_capacity(rows)),
            Shape::Bytes { .. } => Decoded::Bytes(Vec::new(), Vec::with_capacity(rows)),
            Shape::Nested { .. } => Decoded::Nested(nested::Decoded::new(data_type)?),
        };
        Ok(Self { data_type, shape, values, valid: Vec::with_capacity(rows) })
    }

    /// Takes one value off the front of `bytes`.
    fn take(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let (&tag, mut rest) = bytes.split_first()?;
        let valid = tag != NULL;
        match (&mut self.values, self.shape) {
            (Decoded::Word(words), Shape::Word { tag: mine, width }) => {
                let mut word = [0; 8];
                if valid {
                    let (value, after) = rest.split_at_checked(width)?;
                    word[..width].copy_from_slice(value);
                    rest = after;
                    (tag == mine).then_some(())?;
                }
                words.push(u64::from_le_bytes(word));
            }
            (Decoded::Wide(values), Shape::Wide { scale }) => {
                let mut value = 0;
                if valid {
                    let (&stored, after) = rest.split_first()?;
                    let (bytes, after) = after.split_first_chunk()?;
                    (tag == DECIMAL && stored as i8 == scale).then_some(())?;
                    value = i128::from_le_bytes(*bytes);
                    rest = after;
                }
                values.push(value);
            }
            (Decoded::Bytes(all, ends), Shape::Bytes { tag: mine }) => {
                if valid {
                    let (len, after) = rest.split_first_chunk()?;
                    let (value, after) =
                        after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                    (tag == mine).then_some(())?;
                    all.extend_from_slice(value);
                    rest = after;
                }
                ends.push(all.len());
            }
            (Decoded::Nested(values), Shape::Nested { tag: mine }) => {
                if valid {
                    (tag == mine).then_some(())?;
                    values.take(&mut rest)?;
                } else {
                    values.take_null()?;
                }
            }
            _ => return None,
        }
        self.valid.push(valid);
        *bytes = rest;
        Some(())
    }

    fn finish(self) -> Result<ArrayRef, DecodeError> {
        let Self { data_type, values, valid, .. } = self;
        let nulls = || valid.contains(&false).then(|| NullBuffer::from(valid.clone()));
        match values {
            Decoded::Word(words) => Ok(from_words(data_type, words, nulls())?),
            Decoded::Wide(values) => Ok(Arc::new(
                Decimal128Array::new(values.into(), nulls()).with_data_type(data_type.clone()),
            )),
            Decoded::Nested(values) => values.finish(data_type, valid.len(), nulls()),
            Decoded::Bytes(all, ends) => {
                let mut start = 0;
                let values = ends.iter().zip(&valid).map(|(&end, &valid)| {
                    let value = &all[start..end];
                    start = end;
                    valid.then_some(value)
                });
                Ok(from_bytes(data_type, values)?)
            }
        }
    }
}

/// The columns that canonical keys were made from; `for_each` hands every key to its argument.
///
/// # Errors
/// When the bytes do not fit the types.
pub fn decode_rows(
    types: &[DataType],
    rows: usize,
    for_each: impl FnOnce(&mut dyn FnMut(&[u8])),
) -> Result<Vec<ArrayRef>, DecodeError> {
    let mut decoders: Vec<Decoder<'_>> =
        types.iter().map(|t| Decoder::new(t, rows)).collect::<Result<_, _>>()?;
    let mut damaged = None;
    for_each(&mut |mut key| {
        for decoder in &mut decoders {
            if decoder.take(&mut key).is_none() {
                damaged = Some(decoder.data_type.clone());
                return;
            }
        }
    });
    if let Some(data_type) = damaged {
        return Err(DecodeError::Mismatch(data_type));
    }
    decoders.into_iter().map(Decoder::finish).collect()
}
