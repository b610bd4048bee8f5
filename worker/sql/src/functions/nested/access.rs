//! Making ARRAY, MAP and ROW, and taking out of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{interleave, is_null, nullif, take};
use arrow::datatypes::{DataType, Int32Type};
use weir_engine::EngineError;

use super::pool::Pool;
use crate::error::SqlError;
use crate::expr::col::Prims;
use crate::expr::{Col, Expr, nested};
use crate::functions::{Site, Want};
use crate::types::{Kind, Nested, SqlType};

/// The elements of the array that argument `i` is, or refuses.
pub(super) fn element_of(site: &Site, i: usize) -> Result<Kind, SqlError> {
    match site.expr(i)?.kind() {
        Kind::Nested(Nested::Array(of)) => Ok(*of),
        _ => site.type_error(i, "an ARRAY"),
    }
}

/// Arguments from `first` on, every `step`th, brought to one type. Strings lose their lengths, which
/// no function here goes by.
fn alike(site: &Site, first: usize, step: usize) -> Result<(Kind, Vec<Expr>), SqlError> {
    let mut kind = Kind::Null;
    let mut exprs = Vec::new();
    for i in (first..site.args.len()).step_by(step) {
        let expr = site.expr(i)?;
        let of = if expr.kind().is_text() { Kind::STRING } else { expr.kind() };
        kind = match kind.common(of) {
            Some(kind) => kind,
            None => return site.type_error(i, &format!("{kind}, as those before it")),
        };
        exprs.push(expr);
    }
    let cast = |expr: Expr| crate::bind::expr::cast_to(expr.clone(), kind, expr.span);
    let exprs = exprs.into_iter().map(cast).collect::<Result<Vec<_>, _>>()?;
    if kind == Kind::Null {
        return Err(SqlError::new(site.span, "these values have no type; CAST one of them"));
    }
    Ok((kind, exprs))
}

/// Columns row by row: the first of each, then the second, …
fn by_row(cols: &[Col], rows: usize) -> Result<ArrayRef, EngineError> {
    let parts: Vec<&dyn Array> = cols.iter().map(|col| &**col.values() as &dyn Array).collect();
    let at = |col: usize, row: usize| (col, if cols[col].is_scalar() { 0 } else { row });
    let indices: Vec<(usize, usize)> =
        (0..rows).flat_map(|row| (0..cols.len()).map(move |col| at(col, row))).collect();
    Ok(interleave(&parts, &indices)?)
}

pub(super) fn array(site: &mut Site) -> Result<Expr, SqlError> {
    if site.args.is_empty() {
        return Err(SqlError::new(
            site.span,
            "an empty ARRAY has no type; write CAST(ARRAY[…] AS …)",
        ));
    }
    let (kind, args) = alike(site, 0, 1)?;
    let width = args.len();
    site.call(args, SqlType::not_null(Nested::array(kind)), false, move |args, rows| {
        let values = Col::Array(by_row(args, rows)?);
        let pool = Pool::new(&[], &[values])?;
        let from = |row: usize| (row * width) as u32;
        pool.lists((0..rows).map(|row| Some((from(row)..from(row) + width as u32).collect())))
    })
}

pub(super) fn map(site: &mut Site) -> Result<Expr, SqlError> {
    if site.args.is_empty() || !site.args.len().is_multiple_of(2) {
        return site.count_error();
    }
    let ((key, keys), (value, values)) = (alike(site, 0, 2)?, alike(site, 1, 2)?);
    let width = keys.len();
    let args = [keys, values].concat();
    let ty = SqlType::not_null(Nested::Map(key, value).kind());
    site.call(args, ty, true, move |args, rows| {
        let (keys, values) = args.split_at(width);
        let (keys, values) = (by_row(keys, rows)?, by_row(values, rows)?);
        let rows = (0..rows).map(|row| Some((row * width..(row + 1) * width).map(|i| (i, i))));
        maps_of(&keys, &values, rows.map(|row| row.map(Iterator::collect)))
    })
}

/// Maps of pairs, each a number among the keys and one among the values. Of one key the last counts,
/// at the place of the first.
pub(super) fn maps_of(
    keys: &ArrayRef,
    values: &ArrayRef,
    rows: impl Iterator<Item = Option<Vec<(usize, usize)>>>,
) -> Result<ArrayRef, EngineError> {
    let pool = Pool::new(&[], &[Col::Array(keys.clone())])?;
    let comparable = pool.comparable()?;
    let (mut of_keys, mut of_values) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in rows {
        valid.push(row.is_some());
        let start = of_keys.len();
        for (key, value) in row.unwrap_or_default() {
            if keys.is_null(key) {
                return Err(EngineError::user(
                    "a key of a MAP is NULL; filter such rows, or use COALESCE",
                ));
            }
            let same = |known: &u32| comparable.row(*known as usize) == comparable.row(key);
            match of_keys[start..].iter().position(same) {
                Some(at) => of_values[start + at] = value as u32,
                None => {
                    of_keys.push(key as u32);
                    of_values.push(value as u32);
                }
            }
        }
        lengths.push(of_keys.len() - start);
    }
    let keys = take(keys, &UInt32Array::from(of_keys), None)?;
    let values = take(values, &UInt32Array::from(of_values), None)?;
    let nulls = arrow::buffer::NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    nested::map_of(OffsetBuffer::from_lengths(lengths), keys, values, nulls)
}

pub(super) fn row(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=usize::MAX)?;
    let mut args = Vec::new();
    let mut fields = Vec::new();
    for i in 0..site.args.len() {
        let expr = site.expr(i)?;
        let kind = if expr.kind().is_text() { Kind::STRING } else { expr.kind() };
        if kind == Kind::Null {
            return Err(SqlError::new(expr.span, "NULL has no type here; write CAST(NULL AS …)"));
        }
        fields.push((format!("EXPR${i}"), kind));
        args.push(crate::bind::expr::cast_to(expr.clone(), kind, expr.span)?);
    }
    let kind = Nested::Row(fields).kind();
    site.call(args, SqlType::not_null(kind), false, move |args, rows| {
        let DataType::Struct(fields) = kind.arrow() else {
            return Err(EngineError::internal("a ROW is no struct"));
        };
        let columns = args.iter().map(|col| col.to_rows(rows)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
    })
}

/// `a[i]`, `m[k]`: NULL where there is none.
pub(super) fn item(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    match site.expr(0)?.kind() {
        Kind::Nested(Nested::Array(of)) => {
            let of = *of;
            let index = site.want(1, Want::Int)?;
            if let Some(value) = index.as_literal().filter(|value| value.is_valid(0))
                && value.as_primitive::<Int32Type>().value(0) < 1
            {
                return Err(SqlError::new(index.span, "elements of an ARRAY are counted from 1"));
            }
            let args = vec![site.expr(0)?, index];
            site.call(args, SqlType::nullable(of), false, |args, rows| {
                let pool = Pool::new(&args[..1], &[])?;
                let indices = Prims::<Int32Type>::of(&args[1]);
                let one = |row: usize| {
                    let (list, index) = (pool.list(0, row)?, indices.get(row)?);
                    let at = list.start + u32::try_from(index).ok()?.checked_sub(1)?;
                    Some(at).filter(|at| *at < list.end)
                };
                pool.elements((0..rows).map(one))
            })
        }
        Kind::Nested(Nested::Map(key, value)) => {
            let (key, value) = (*key, *value);
            let args = vec![site.expr(0)?, site.cast(site.expr(1)?, key)?];
            if site.expr(1)?.kind().common(key) != Some(key) {
                return site.type_error(1, &format!("a key, {key}"));
            }
            site.call(args, SqlType::nullable(value), false, move |args, rows| {
                let map = args[0].values().as_map();
                let at = |col: &Col, row: usize| if col.is_scalar() { 0 } else { row };
                let one = |row: usize| {
                    let (of, wanted) = (at(&args[0], row), at(&args[1], row));
                    if map.is_null(of) {
                        return None;
                    }
                    let mut range = map.value_offsets()[of]..map.value_offsets()[of + 1];
                    let wanted = (args[1].values(), wanted);
                    let same = |i: &i32| nested::same(key, (map.keys(), *i as usize), wanted);
                    range.find(|i| same(i) == Some(true)).map(|i| i as u32)
                };
                Ok(take(map.values(), &(0..rows).map(one).collect::<UInt32Array>(), None)?)
            })
        }
        Kind::Variant => crate::functions::json::variant_item(site),
        _ => site.type_error(0, "an ARRAY, a MAP or a VARIANT"),
    }
}

/// `r.f`.
pub(super) fn field(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let (of, name) = (site.expr(0)?, site.expr(1)?);
    let wanted = name.as_literal().and_then(|value| value.as_string_opt::<i32>());
    let wanted = wanted.map(|value| value.value(0).to_owned()).unwrap_or_default();
    let Kind::Nested(Nested::Row(fields)) = of.kind() else {
        return site.type_error(0, "a ROW");
    };
    let Some(at) = fields.iter().position(|(known, _)| *known == wanted) else {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        return Err(SqlError::new(
            name.span,
            format!("the ROW has no field \"{wanted}\"; it has {}", names.join(", ")),
        ));
    };
    let ty = SqlType::nullable(fields[at].1);
    site.named_call(format!(".{wanted}"), vec![of], ty, false, move |args, _| {
        let row = args[0].values().as_struct();
        Ok(nullif(row.column(at), &is_null(row)?)?)
    })
}

pub(super) fn cardinality(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let of = site.expr(0)?;
    let ty = SqlType { kind: Kind::Int, nullable: of.ty.nullable };
    match of.kind() {
        Kind::Nested(Nested::Array(_) | Nested::Map(..)) => {}
        Kind::Nested(Nested::Multiset(_)) => return site.call(vec![of], ty, false, counted),
        _ => return site.type_error(0, "an ARRAY, a MAP or a MULTISET"),
    }
    site.call(vec![of], ty, false, |args, _| {
        let values = args[0].values();
        let offsets = match values.data_type() {
            DataType::Map(..) => values.as_map().offsets().clone(),
            _ => values.as_list::<i32>().offsets().clone(),
        };
        let lengths = offsets.lengths().enumerate();
        let one = |(row, length): (usize, usize)| values.is_valid(row).then_some(length as i32);
        Ok(Arc::new(lengths.map(one).collect::<Int32Array>()))
    })
}

/// How many values each MULTISET has.
fn counted(args: &[Col], _rows: usize) -> Result<ArrayRef, EngineError> {
    let sets = args[0].values().as_map();
    let counts = sets.values().as_primitive::<Int32Type>();
    let one = |row: usize| {
        let range = sets.value_offsets()[row] as usize..sets.value_offsets()[row + 1] as usize;
        let sum = || range.map(|at| counts.value(at)).fold(0, i32::saturating_add);
        sets.is_valid(row).then(sum)
    };
    Ok(Arc::new((0..sets.len()).map(one).collect::<Int32Array>()))
}

pub(super) fn element(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let ty = SqlType::nullable(element_of(site, 0)?);
    site.call(vec![site.expr(0)?], ty, true, |args, rows| {
        let pool = Pool::new(args, &[])?;
        let one = |row: usize| match pool.list(0, row) {
            None => Ok(None),
            Some(list) if list.len() > 1 => Err(EngineError::user(format!(
                "ELEMENT takes an array of one element, this has {}",
                list.len()
            ))),
            Some(mut list) => Ok(list.next()),
        };
        let found = (0..rows).map(one).collect::<Result<Vec<_>, _>>()?;
        pool.elements(found.into_iter())
    })
}
