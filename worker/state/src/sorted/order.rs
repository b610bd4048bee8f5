//! Order columns as bytes that compare as the rows do. Version 1; it never changes.
//!
//! The columns follow each other. A nullable column begins with a byte: 1 for a value, and for
//! NULL 0 where NULLs come first, 2 where they come last. The value, inverted if descending:
//!
//! | type | bytes |
//! |---|---|
//! | BOOLEAN | 1 |
//! | integers, dates, times | 8, largest first, with the sign flipped if signed |
//! | Float32, Float64 | 8: the bits of a double, all flipped if negative, else the sign; −0.0 is before 0.0, and one NaN after everything |
//! | DECIMAL | 16, largest first, with the sign flipped |
//! | strings, bytes | each 0 as 0 255, then 0 0 |
//! | lists, structs, maps | the same of their bytes (`canonical`, as values): rows are told apart by them, and sorted somehow |
//!
//! Narrow integers take 8 bytes like wide ones, so that widening a column changes no order.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::{Strings, Value};
use crate::UnsupportedType;
use crate::canonical::Shape;
use crate::table::{Cells, OrderField, build_array};

const SIGN: u64 = 1 << 63;
pub(crate) const NULL_FIRST: u8 = 0;
pub(crate) const VALUE: u8 = 1;
const NULL_LAST: u8 = 2;

/// Stored bytes that are not of the order columns they should be of.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The bytes end early or hold what no value is written as.
    #[error("a stored order does not fit the type {0}")]
    Mismatch(DataType),
    /// The column's type.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// The column cannot be built.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

fn is_unsigned(data_type: &DataType) -> bool {
    use DataType::{UInt8, UInt16, UInt32, UInt64};
    matches!(data_type, UInt8 | UInt16 | UInt32 | UInt64)
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// Appends the encoded order of each row.
///
/// # Errors
/// When the columns are not those of `fields`, or have a type that state cannot hold.
pub fn encode_orders(
    fields: &[OrderField],
    columns: &[ArrayRef],
    rows: usize,
    out: &mut Strings,
) -> Result<(), UnsupportedType> {
    let cells = fields
        .iter()
        .zip(columns)
        .map(|(field, column)| Cells::of(column.as_ref(), &field.field.data_type))
        .collect::<Result<Vec<_>, _>>()?;
    if cells.len() != fields.len() {
        return Err(UnsupportedType(DataType::Null));
    }
    for row in 0..rows {
        for (field, cells) in fields.iter().zip(&cells) {
            encode(field, cells.value(row), out.open());
        }
        out.end();
    }
    Ok(())
}

/// Appends one column's value.
pub(crate) fn encode(field: &OrderField, value: Value<'_>, out: &mut Vec<u8>) {
    if let Value::Null = value {
        // Also in a column that is not nullable: it then sorts as it would if it were.
        out.push(if field.nulls_first { NULL_FIRST } else { NULL_LAST });
        return;
    }
    if field.field.nullable {
        out.push(VALUE);
    }
    let start = out.len();
    match value {
        Value::Null => {}
        Value::Word(word) => {
            let data_type = &field.field.data_type;
            match data_type {
                DataType::Boolean => out.push(word as u8),
                _ => {
                    let bits = if is_float(data_type) {
                        float_to_bits(word)
                    } else if is_unsigned(data_type) {
                        word
                    } else {
                        word ^ SIGN
                    };
                    out.extend_from_slice(&bits.to_be_bytes());
                }
            }
        }
        Value::Wide(wide) => out.extend_from_slice(&(wide ^ i128::MIN).to_be_bytes()),
        Value::Bytes(bytes) => {
            for &byte in bytes {
                out.push(byte);
                if byte == 0 {
                    out.push(0xFF);
                }
            }
            out.extend_from_slice(&[0, 0]);
        }
    }
    if field.descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn float_to_bits(word: u64) -> u64 {
    let value = f64::from_bits(word);
    // One NaN: processors give 0/0 either sign, and both must sort alike.
    let word = if value.is_nan() { f64::NAN.to_bits() & !SIGN } else { word };
    if word & SIGN == 0 { word ^ SIGN } else { !word }
}

fn float_from_bits(bits: u64) -> u64 {
    if bits & SIGN == 0 { !bits } else { bits ^ SIGN }
}

/// The order columns of encoded orders.
///
/// # Errors
/// When the bytes are not of `fields`.
pub fn decode_orders<'a>(
    fields: &[OrderField],
    orders: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>, OrderError> {
    // Column by column: what a type decides is decided once, and not for every row.
    let mut rests: Vec<&[u8]> = orders.collect();
    fields.iter().map(|field| decode_column(field, &mut rests)).collect()
}

/// Takes a column's values off the front of all orders.
fn decode_column(field: &OrderField, rests: &mut [&[u8]]) -> Result<ArrayRef, OrderError> {
    let data_type = &field.field.data_type;
    let mismatch = || OrderError::Mismatch(data_type.clone());
    if let Some(to_word) = word_from_bits(data_type) {
        let (nullable, invert) =
            (field.field.nullable, if field.descending { u64::MAX } else { 0 });
        let mut is_broken = false;
        let values = rests.iter_mut().map(|rest| match take_bits(rest, nullable) {
            Some(Some(bits)) => Value::Word(to_word(bits ^ invert)),
            Some(None) => Value::Null,
            None => {
                is_broken = true;
                Value::Null
            }
        });
        let column = build_array(data_type, values)?;
        return if is_broken { Err(mismatch()) } else { Ok(column) };
    }
    let mut numbers = Vec::with_capacity(rests.len());
    let mut strings = Strings::default();
    for rest in rests {
        numbers.push(decode(field, rest, strings.open()).ok_or_else(mismatch)?);
        strings.end();
    }
    let values = numbers.iter().enumerate().map(|(row, number)| match number {
        None => Value::Null,
        Some(Number::Word(word)) => Value::Word(*word),
        Some(Number::Wide(wide)) => Value::Wide(*wide),
        Some(Number::Bytes) => Value::Bytes(strings.get(row)),
    });
    Ok(build_array(data_type, values)?)
}

/// What makes a value of eight bytes of an ascending order; absent for other types.
fn word_from_bits(data_type: &DataType) -> Option<fn(u64) -> u64> {
    let is_word = matches!(Shape::of(data_type), Ok(Shape::Word { .. }));
    // One of a BOOLEAN has a byte.
    (is_word && *data_type != DataType::Boolean).then_some(if is_float(data_type) {
        float_from_bits
    } else if is_unsigned(data_type) {
        |bits| bits
    } else {
        |bits| bits ^ SIGN
    })
}

/// Takes what tells NULL from a value off the front, and whether it is one; `None` is a mismatch.
#[inline]
fn take_is_null(order: &mut &[u8], nullable: bool) -> Option<bool> {
    if !nullable {
        return Some(false);
    }
    let (&flag, rest) = order.split_first()?;
    *order = rest;
    match flag {
        VALUE => Some(false),
        NULL_FIRST | NULL_LAST => Some(true),
        _ => None,
    }
}

/// Takes eight bytes off the front; the outer `None` is a mismatch, the inner NULL.
#[expect(clippy::option_option, reason = "a mismatch and a NULL are different things")]
#[inline]
fn take_bits(order: &mut &[u8], nullable: bool) -> Option<Option<u64>> {
    if take_is_null(order, nullable)? {
        return Some(None);
    }
    let (&head, rest) = order.split_first_chunk()?;
    *order = rest;
    Some(Some(u64::from_be_bytes(head)))
}

#[derive(Clone, Copy)]
enum Number {
    Word(u64),
    Wide(i128),
    /// It was written to the strings.
    Bytes,
}

/// Takes one value that is no word of eight bytes off the front; the outer `None` is a mismatch, the inner NULL.
#[expect(clippy::option_option, reason = "a mismatch and a NULL are different things")]
fn decode(field: &OrderField, order: &mut &[u8], text: &mut Vec<u8>) -> Option<Option<Number>> {
    if take_is_null(order, field.field.nullable)? {
        return Some(None);
    }
    let invert = if field.descending { u8::MAX } else { 0 };
    let data_type = &field.field.data_type;
    let mut take = |n: usize| {
        let (head, rest) = order.split_at_checked(n)?;
        *order = rest;
        let mut bytes = [0; 16];
        bytes[16 - n..].copy_from_slice(head);
        bytes[16 - n..].iter_mut().for_each(|byte| *byte ^= invert);
        Some(u128::from_be_bytes(bytes))
    };
    Some(Some(match data_type {
        DataType::Boolean => Number::Word(take(1)? as u64),
        DataType::Decimal128(..) => Number::Wide(take(16)? as i128 ^ i128::MIN),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::List(_)
        | DataType::Struct(_)
        | DataType::Map(..) => loop {
            let byte = take(1)? as u8;
            if byte == 0 {
                match take(1)? as u8 {
                    0 => break Number::Bytes,
                    0xFF => {}
                    _ => return None,
                }
            }
            text.push(byte);
        },
        // Words are taken by `take_bits`.
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::compute::{SortOptions, concat, take};
    use arrow::datatypes::TimeUnit;
    use proptest::prelude::*;

    use super::*;
    use crate::table::Field;

    fn encoded(field: &OrderField, column: &ArrayRef) -> Strings {
        let mut out = Strings::default();
        encode_orders(std::slice::from_ref(field), &[Arc::clone(column)], column.len(), &mut out)
            .unwrap();
        out
    }

    #[test]
    fn values_that_are_made_of_others_come_back() {
        let lists = ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(vec![
            Some(vec![Some(0), None, Some(-1)]),
            None,
            Some(vec![]),
        ]);
        let lists: ArrayRef = Arc::new(lists);
        for (descending, nulls_first) in [(false, true), (true, false)] {
            let field = Field::new("o", lists.data_type().clone(), true);
            let fields = [OrderField { field, descending, nulls_first }];
            let orders = encoded(&fields[0], &lists);
            assert_eq!(&decode_orders(&fields, orders.iter()).unwrap()[0], &lists);
        }
    }

    /// Sorting by bytes must give what arrow's sort gives, and the bytes the column back.
    fn check(column: ArrayRef) {
        for (descending, nulls_first) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let field = Field::new("o", column.data_type().clone(), true);
            let field = OrderField { field, descending, nulls_first };
            let orders = encoded(&field, &column);
            let back = decode_orders(std::slice::from_ref(&field), orders.iter()).unwrap();
            assert_eq!(&back[0], &column);
            let mut by_bytes: Vec<u32> = (0..column.len() as u32).collect();
            by_bytes.sort_by(|&a, &b| orders.get(a as usize).cmp(orders.get(b as usize)));
            let sorted = take(&column, &UInt32Array::from(by_bytes), None).unwrap();
            let options = SortOptions { descending, nulls_first };
            let wanted =
                arrow::row::RowConverter::new(vec![arrow::row::SortField::new_with_options(
                    column.data_type().clone(),
                    options,
                )])
                .unwrap();
            let rows = wanted.convert_columns(&[Arc::clone(&sorted)]).unwrap();
            let rows: Vec<_> = rows.iter().collect();
            assert!(rows.is_sorted(), "{:?} {options:?}: {sorted:?}", column.data_type());
        }
    }

    proptest! {
        #[test]
        fn encoded_orders_compare_as_their_columns_and_come_back(
            rows in prop::collection::vec((prop::option::of(any::<i64>()), prop::option::of("[\\x00-\\x02a-c]{0,5}"), any::<f64>()), 1..60),
        ) {
            let longs: Int64Array = rows.iter().map(|r| r.0).collect();
            check(Arc::new(rows.iter().map(|r| r.0.map(|v| v as i32)).collect::<Int32Array>()));
            check(Arc::new(rows.iter().map(|r| r.0.map(|v| v as u64)).collect::<UInt64Array>()));
            check(Arc::new(rows.iter().map(|r| r.0.map(|v| v > 0)).collect::<BooleanArray>()));
            check(Arc::new(rows.iter().map(|r| r.0.map(|_| r.2)).filter(|v| !v.is_some_and(f64::is_nan)).collect::<Float64Array>()));
            check(Arc::new(rows.iter().map(|r| r.0.map(|v| i128::from(v) << 50)).collect::<Decimal128Array>()));
            check(Arc::new(rows.iter().map(|r| r.1.clone()).collect::<StringArray>()));
            check(Arc::new(rows.iter().map(|r| r.1.as_ref().map(|s| s.as_bytes())).collect::<BinaryArray>()));
            check(arrow::compute::cast(&longs, &DataType::Timestamp(TimeUnit::Millisecond, None)).unwrap());
            check(Arc::new(longs));
        }

        #[test]
        fn rows_of_several_columns_compare_column_by_column(
            rows in prop::collection::vec(("[\\x00a]{0,3}", -2_i64..2), 2..40),
        ) {
            let fields: Vec<OrderField> = [DataType::Utf8, DataType::Int64]
                .into_iter()
                .map(|t| OrderField { field: Field::new("o", t, false), descending: false, nulls_first: false })
                .collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|r| Some(r.0.clone())).collect::<StringArray>()),
                Arc::new(rows.iter().map(|r| Some(r.1)).collect::<Int64Array>()),
            ];
            let mut out = Strings::default();
            encode_orders(&fields, &columns, rows.len(), &mut out).unwrap();
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    prop_assert_eq!(out.get(i).cmp(out.get(j)), a.cmp(b));
                }
            }
        }
    }

    #[test]
    fn zeros_are_two_and_nan_is_one_and_the_largest() {
        let field = OrderField {
            field: Field::new("o", DataType::Float64, false),
            descending: false,
            nulls_first: false,
        };
        let values = [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0, f64::INFINITY, f64::NAN, -f64::NAN];
        let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        let orders = encoded(&field, &column);
        assert!((0..6).all(|i| orders.get(i) < orders.get(i + 1)));
        assert_eq!(orders.get(6), orders.get(7));
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![-1.5, 2.5]));
        let more = concat(&[floats.as_ref()]).unwrap();
        check(more);
    }
}
