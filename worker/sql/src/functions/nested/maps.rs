//! Functions of maps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field};
use weir_engine::EngineError;

use super::access::{element_of, maps_of};
use super::pool::Pool;
use crate::error::SqlError;
use crate::expr::{Col, Expr};
use crate::functions::Site;
use crate::types::{Kind, Nested, SqlType};

fn map_of(site: &Site, i: usize) -> Result<(Kind, Kind), SqlError> {
    match site.expr(i)?.kind() {
        Kind::Nested(Nested::Map(key, value)) => Ok((*key, *value)),
        _ => site.type_error(i, "a MAP"),
    }
}

/// A list a map, of a part of its pairs.
fn listed(
    site: &Site,
    of: Kind,
    part: fn(&arrow::array::MapArray) -> ArrayRef,
) -> Result<Expr, SqlError> {
    let map = site.expr(0)?;
    let ty = SqlType { kind: Nested::array(of), nullable: map.ty.nullable };
    site.call(vec![map], ty, false, move |args, _| {
        let map = args[0].values().as_map();
        let field = Arc::new(Field::new("item", of.arrow(), true));
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(field, offsets, part(map), nulls)?))
    })
}

pub(super) fn keys(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let (key, _) = map_of(site, 0)?;
    listed(site, key, |map| map.keys().clone())
}

pub(super) fn values(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let (_, value) = map_of(site, 0)?;
    listed(site, value, |map| map.values().clone())
}

/// Rows of `key` and `value`.
pub(super) fn entries(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let (key, value) = map_of(site, 0)?;
    let row = Nested::Row(vec![("key".to_owned(), key), ("value".to_owned(), value)]).kind();
    let map = site.expr(0)?;
    let ty = SqlType { kind: Nested::array(row), nullable: map.ty.nullable };
    site.call(vec![map], ty, false, move |args, _| {
        let map = args[0].values().as_map();
        let DataType::Struct(fields) = row.arrow() else {
            return Err(EngineError::internal("a ROW is no struct"));
        };
        let columns = vec![map.keys().clone(), map.values().clone()];
        let pairs: ArrayRef = Arc::new(StructArray::try_new(fields, columns, None)?);
        let field = Arc::new(Field::new("item", row.arrow(), true));
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(field, offsets, pairs, nulls)?))
    })
}

pub(super) fn from_arrays(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let (key, value) = (element_of(site, 0)?, element_of(site, 1)?);
    let args = vec![site.expr(0)?, site.expr(1)?];
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    let ty = SqlType { kind: Nested::Map(key, value).kind(), nullable };
    site.call(args, ty, true, |args, rows| {
        let pools = [Pool::new(&args[..1], &[])?, Pool::new(&args[1..], &[])?];
        let one = |row: usize| {
            let (Some(keys), Some(values)) = (pools[0].list(0, row), pools[1].list(0, row)) else {
                return Ok(None);
            };
            if keys.len() != values.len() {
                return Err(EngineError::user(format!(
                    "MAP_FROM_ARRAYS: {} keys, but {} values",
                    keys.len(),
                    values.len()
                )));
            }
            Ok(Some(keys.zip(values).map(|(k, v)| (k as usize, v as usize)).collect()))
        };
        let pairs = (0..rows).map(one).collect::<Result<Vec<_>, _>>()?;
        let values = |arg: usize| args[arg].values().as_list::<i32>().values().clone();
        maps_of(&values(0), &values(1), pairs.into_iter())
    })
}

/// The pairs of all; of one key the last counts.
pub(super) fn union(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=usize::MAX)?;
    let mut kind = site.expr(0)?.kind();
    for i in 0..site.args.len() {
        map_of(site, i)?;
        kind = match kind.common(site.expr(i)?.kind()) {
            Some(kind) => kind,
            None => return site.type_error(i, &format!("{kind}, as those before it")),
        };
    }
    let cast = |i: usize| {
        let expr = site.expr(i)?;
        crate::bind::expr::cast_to(expr.clone(), kind, expr.span)
    };
    let args = (0..site.args.len()).map(cast).collect::<Result<Vec<_>, _>>()?;
    let ty = SqlType { kind, nullable: args.iter().any(|arg| arg.ty.nullable) };
    site.call(args, ty, false, |args: &[Col], rows| {
        let maps: Vec<_> = args.iter().map(|col| col.values().as_map()).collect();
        let together = |part: fn(&arrow::array::MapArray) -> &ArrayRef| {
            let parts: Vec<&dyn Array> =
                maps.iter().map(|map| &**part(map) as &dyn Array).collect();
            arrow::compute::concat(&parts)
        };
        let (keys, values) = (together(|map| map.keys())?, together(|map| map.values())?);
        let one = |row: usize| {
            let mut pairs = Vec::new();
            let mut before = 0;
            for (col, map) in args.iter().zip(&maps) {
                let row = if col.is_scalar() { 0 } else { row };
                if map.is_null(row) {
                    return None;
                }
                let (first, last) = (map.value_offsets()[row], map.value_offsets()[row + 1]);
                pairs.extend((first as usize..last as usize).map(|i| (before + i, before + i)));
                before += map.keys().len();
            }
            Some(pairs)
        };
        maps_of(&keys, &values, (0..rows).map(one))
    })
}
