//! Functions of bitmaps: sets of numbers of 32 bits, kept in the form in which they are exchanged.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int32Array, Int32Builder, Int64Array,
    ListArray, ListBuilder, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};
use weir_engine::{EngineError, roaring};

use super::{Function, Site, special};
use crate::error::SqlError;
use crate::expr::{Col, Expr};
use crate::types::{Kind, Nested, SqlType};

pub(super) const FUNCTIONS: &[Function] = &[
    special("BITMAP_BUILD", "BITMAP_BUILD(array of INT)", build),
    special("BITMAP_FROM_BYTES", "BITMAP_FROM_BYTES(bytes)", from_bytes),
    special("BITMAP_TO_BYTES", "BITMAP_TO_BYTES(bitmap)", |site| {
        let (of, nullable) = bitmap(site)?;
        let ty = SqlType { kind: Kind::Bytes, nullable };
        site.call(vec![of], ty, false, |args, rows| args[0].to_rows(rows))
    }),
    special("BITMAP_TO_ARRAY", "BITMAP_TO_ARRAY(bitmap)", to_array),
    special("BITMAP_TO_STRING", "BITMAP_TO_STRING(bitmap)", |site| {
        let (of, nullable) = bitmap(site)?;
        site.call(vec![of], SqlType { kind: Kind::STRING, nullable }, false, |args, rows| {
            let sets = Sets::of(&args[0]);
            let one = |row: usize| sets.get(row).map(|set| set.map(|set| roaring::text(&set)));
            Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, _>>()?))
        })
    }),
    special("BITMAP_CARDINALITY", "BITMAP_CARDINALITY(bitmap)", |site| {
        let (of, nullable) = bitmap(site)?;
        site.call(vec![of], SqlType { kind: Kind::BigInt, nullable }, false, |args, rows| {
            let sets = Sets::of(&args[0]);
            let one = |row: usize| sets.get(row).map(|set| set.map(|set| set.len() as i64));
            Ok(Arc::new((0..rows).map(one).collect::<Result<Int64Array, _>>()?))
        })
    }),
    special("BITMAP_AND", "BITMAP_AND(bitmap, bitmap)", |site| both(site, |a, b| a && b)),
    special("BITMAP_OR", "BITMAP_OR(bitmap, bitmap)", |site| both(site, |a, b| a || b)),
    special("BITMAP_XOR", "BITMAP_XOR(bitmap, bitmap)", |site| both(site, |a, b| a != b)),
    special("BITMAP_ANDNOT", "BITMAP_ANDNOT(bitmap, bitmap)", |site| both(site, |a, b| a && !b)),
    special("BITMAP_BUILD_AGG ITEM", "BITMAP_BUILD_AGG(INT)", one_number),
    special("BITMAP_BUILD_CARDINALITY_AGG ITEM", "BITMAP_BUILD_CARDINALITY_AGG(INT)", one_number),
    special("BITMAP_OR_AGG ITEM", "BITMAP_OR_AGG(bitmap)", to_array),
    special("BITMAP_AND_AGG ITEM", "BITMAP_AND_AGG(bitmap)", to_array),
    special("BITMAP_XOR_AGG ITEM", "BITMAP_XOR_AGG(bitmap)", to_array),
    special("BITMAP_OR_CARDINALITY_AGG ITEM", "BITMAP_OR_CARDINALITY_AGG(bitmap)", to_array),
    special("BITMAP_AND_CARDINALITY_AGG ITEM", "BITMAP_AND_CARDINALITY_AGG(bitmap)", to_array),
    special("BITMAP_XOR_CARDINALITY_AGG ITEM", "BITMAP_XOR_CARDINALITY_AGG(bitmap)", to_array),
];

/// A column of bitmaps, each as its numbers in order.
struct Sets<'a> {
    col: &'a Col,
    values: &'a BinaryArray,
}

impl<'a> Sets<'a> {
    fn of(col: &'a Col) -> Self {
        Self { col, values: col.values().as_binary::<i32>() }
    }

    fn get(&self, row: usize) -> Result<Option<Vec<u32>>, EngineError> {
        let row = if self.col.is_scalar() { 0 } else { row };
        if self.values.is_null(row) {
            return Ok(None);
        }
        roaring::read(self.values.value(row)).map(Some).map_err(EngineError::user)
    }
}

/// Argument `i` as a bitmap.
fn argument(site: &Site, i: usize) -> Result<Expr, SqlError> {
    let expr = site.expr(i)?;
    match expr.kind() {
        Kind::Bitmap => Ok(expr),
        Kind::Null => Ok(Expr::null(Kind::Bitmap, expr.span)),
        _ => site.type_error(i, "a BITMAP"),
    }
}

/// The only argument, and whether it may be NULL.
fn bitmap(site: &Site) -> Result<(Expr, bool), SqlError> {
    site.expect_count(1..=1)?;
    let expr = argument(site, 0)?;
    let nullable = expr.ty.nullable;
    Ok((expr, nullable))
}

/// Numbers of an array, negative ones as the large ones of the same bits; NULLs are left out.
fn build(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let expr = site.expr(0)?;
    let of_numbers = matches!(
        expr.kind(),
        Kind::Nested(Nested::Array(Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::Null))
    );
    if !of_numbers {
        return site.type_error(0, "an ARRAY of INT");
    }
    let numbers = site.cast(expr, Nested::array(Kind::Int))?;
    let ty = SqlType { kind: Kind::Bitmap, nullable: numbers.ty.nullable };
    site.call(vec![numbers], ty, false, |args, rows| {
        let arrays = args[0].to_rows(rows)?;
        let arrays = arrays.as_list::<i32>();
        let mut made = BinaryBuilder::new();
        for row in 0..rows {
            if arrays.is_null(row) {
                made.append_null();
                continue;
            }
            let items = arrays.value(row);
            let items = items.as_primitive::<Int32Type>();
            let mut set: Vec<u32> = items.iter().flatten().map(|item| item as u32).collect();
            set.sort_unstable();
            set.dedup();
            made.append_value(roaring::write(&set));
        }
        Ok(Arc::new(made.finish()))
    })
}

/// A number as an array of it, NULL where it is.
fn one_number(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let expr = site.expr(0)?;
    if !matches!(expr.kind(), Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::Null) {
        return site.type_error(0, "an INT");
    }
    let number = site.cast(expr, Kind::Int)?;
    let ty = SqlType { kind: Nested::array(Kind::Int), nullable: number.ty.nullable };
    site.call(vec![number], ty, false, |args, rows| {
        let numbers = args[0].to_rows(rows)?;
        let field = Arc::new(Field::new("item", DataType::Int32, true));
        let each = OffsetBuffer::from_lengths(std::iter::repeat_n(1, rows));
        let nulls = numbers.nulls().cloned();
        Ok(Arc::new(ListArray::try_new(field, each, numbers, nulls)?))
    })
}

fn from_bytes(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let expr = site.expr(0)?;
    let bytes = match expr.kind() {
        Kind::Bytes => expr,
        Kind::Null => Expr::null(Kind::Bytes, expr.span),
        _ => return site.type_error(0, "BYTES"),
    };
    let ty = SqlType { kind: Kind::Bitmap, nullable: bytes.ty.nullable };
    site.call(vec![bytes], ty, true, |args, rows| {
        let sets = Sets::of(&args[0]);
        // Read and written again, so that equal bitmaps are equal bytes.
        let one = |row: usize| sets.get(row).map(|set| set.map(|set| roaring::write(&set)));
        Ok(Arc::new((0..rows).map(one).collect::<Result<BinaryArray, _>>()?))
    })
}

fn to_array(site: &mut Site) -> Result<Expr, SqlError> {
    let (of, nullable) = bitmap(site)?;
    let ty = SqlType { kind: Nested::array(Kind::Int), nullable };
    site.call(vec![of], ty, false, |args, rows| {
        let sets = Sets::of(&args[0]);
        let field = Arc::new(Field::new("item", DataType::Int32, true));
        let mut made = ListBuilder::new(Int32Builder::new()).with_field(field);
        for row in 0..rows {
            match sets.get(row)? {
                None => made.append_null(),
                Some(set) => {
                    let items = Int32Array::from_iter_values(set.iter().map(|n| *n as i32));
                    made.values().append_slice(items.values());
                    made.append(true);
                }
            }
        }
        Ok(Arc::new(made.finish()) as ArrayRef)
    })
}

/// The numbers of which `keep` says so, given whether each of the two has it.
fn both(site: &mut Site, keep: fn(bool, bool) -> bool) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let args = vec![argument(site, 0)?, argument(site, 1)?];
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    site.call(args, SqlType { kind: Kind::Bitmap, nullable }, false, move |args, rows| {
        let (a, b) = (Sets::of(&args[0]), Sets::of(&args[1]));
        let one = |row: usize| -> Result<Option<Vec<u8>>, EngineError> {
            let (Some(a), Some(b)) = (a.get(row)?, b.get(row)?) else {
                return Ok(None);
            };
            Ok(Some(roaring::write(&merged(&a, &b, keep))))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<BinaryArray, _>>()?))
    })
}

fn merged(a: &[u32], b: &[u32], keep: fn(bool, bool) -> bool) -> Vec<u32> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut set = Vec::new();
    loop {
        let next = match (a.peek(), b.peek()) {
            (None, None) => return set,
            (Some(x), Some(y)) => *x.min(y),
            (Some(x), None) | (None, Some(x)) => *x,
        };
        let (of_a, of_b) = (a.next_if_eq(&next).is_some(), b.next_if_eq(&next).is_some());
        if keep(of_a, of_b) {
            set.push(next);
        }
    }
}
