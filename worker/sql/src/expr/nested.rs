//! Values that are made of others: their text, equality and casts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Field};
use weir_engine::EngineError;

use super::col::Col;
use super::{cast, compare, render};
use crate::ast::BinaryOp;
use crate::types::{Kind, Nested};
use crate::zone::Zone;

/// `[1, NULL]`, `{a=1, b=NULL}`, `(1, x)`, of a value that is not NULL.
pub(super) fn text(array: &ArrayRef, nested: &Nested, row: usize) -> String {
    let all = |array: &ArrayRef, kind: Kind| -> Vec<String> {
        (0..array.len()).map(|i| part(array, kind, i)).collect()
    };
    match nested {
        Nested::Array(of) => {
            format!("[{}]", all(&array.as_list::<i32>().value(row), *of).join(", "))
        }
        Nested::Map(..) | Nested::Multiset(_) => {
            let (key, value) = entries(nested);
            let entries = array.as_map().value(row);
            let keys = all(entries.column(0), key);
            let pairs = keys.iter().zip(all(entries.column(1), value));
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Nested::Row(fields) => {
            let row_of = array.as_struct();
            let parts = fields.iter().zip(row_of.columns());
            let parts: Vec<String> =
                parts.map(|((_, kind), column)| part(column, *kind, row)).collect();
            format!("({})", parts.join(", "))
        }
    }
}

/// Types of keys and values.
fn entries(nested: &Nested) -> (Kind, Kind) {
    match nested {
        Nested::Map(key, value) => (*key, *value),
        Nested::Multiset(of) => (*of, Kind::Int),
        Nested::Array(_) | Nested::Row(_) => (Kind::Null, Kind::Null),
    }
}

fn part(array: &ArrayRef, kind: Kind, row: usize) -> String {
    let text = render::value(&Col::Array(array.clone()), kind, row);
    text.unwrap_or_else(|| "NULL".to_owned())
}

/// Whether two values are equal, part by part; as in Flink, a NULL inside is a value like any other,
/// and only the whole being NULL leaves it open. A map's order does not count.
pub(super) fn equal(
    nested: &Nested,
    (a, i): (&ArrayRef, usize),
    (b, j): (&ArrayRef, usize),
) -> Option<bool> {
    if a.is_null(i) || b.is_null(j) {
        return None;
    }
    Some(match nested {
        Nested::Array(of) => {
            let (a, b) = (a.as_list::<i32>().value(i), b.as_list::<i32>().value(j));
            a.len() == b.len() && (0..a.len()).all(|at| are_same(*of, (&a, at), (&b, at)))
        }
        Nested::Row(fields) => {
            let (a, b) = (a.as_struct(), b.as_struct());
            let mut fields = fields.iter().enumerate();
            fields.all(|(at, (_, kind))| are_same(*kind, (a.column(at), i), (b.column(at), j)))
        }
        Nested::Map(..) | Nested::Multiset(_) => {
            let (key, value) = entries(nested);
            let (a, b) = (a.as_map().value(i), b.as_map().value(j));
            let (keys, values) = ((a.column(0), b.column(0)), (a.column(1), b.column(1)));
            a.len() == b.len()
                && (0..a.len()).all(|at| {
                    let other =
                        (0..b.len()).find(|&other| are_same(key, (keys.0, at), (keys.1, other)));
                    other.is_some_and(|other| are_same(value, (values.0, at), (values.1, other)))
                })
        }
    })
}

/// Whether two parts are equal, or both NULL.
fn are_same(kind: Kind, (a, i): (&ArrayRef, usize), (b, j): (&ArrayRef, usize)) -> bool {
    match (a.is_null(i), b.is_null(j)) {
        (false, false) => same(kind, (a, i), (b, j)) == Some(true),
        (of_a, of_b) => of_a && of_b,
    }
}

/// Whether two parts are equal; not known where one is NULL.
pub(crate) fn same(
    kind: Kind,
    (a, i): (&ArrayRef, usize),
    (b, j): (&ArrayRef, usize),
) -> Option<bool> {
    if let Kind::Nested(nested) = kind {
        return equal(nested, (a, i), (b, j));
    }
    if a.is_null(i) || b.is_null(j) {
        return None;
    }
    let args = [Col::Scalar(a.slice(i, 1)), Col::Scalar(b.slice(j, 1))];
    let equal = compare::kernel(BinaryOp::Eq, kind)(&args, 1).ok()?;
    let equal = equal.values().as_boolean();
    equal.is_valid(0).then(|| equal.value(0))
}

/// Whether the parts can be cast.
pub(super) fn cast_exists(a: &Nested, b: &Nested) -> bool {
    let parts = a.parts_with(b);
    !parts.is_empty() && parts.into_iter().all(|(from, to)| cast::exists(from, to))
}

/// Casts part by part.
pub(super) fn convert(
    array: &ArrayRef,
    from: &Nested,
    to: &Nested,
    lenient: bool,
    zone: Zone,
) -> Result<ArrayRef, EngineError> {
    by_part(array, from, to, &|array, from, to| {
        if from == to {
            return Ok(array.clone());
        }
        if from == Kind::Null {
            return Ok(arrow::array::new_null_array(&to.arrow(), array.len()));
        }
        cast::convert(&Col::Array(array.clone()), from, to, array.len(), lenient, zone)
    })
}

/// With all points in time as what a clock shows, for their text.
pub(super) fn on_clock(array: &ArrayRef, of: &Nested, zone: Zone) -> Result<ArrayRef, EngineError> {
    by_part(array, of, of, &|array, kind, _| match kind {
        Kind::TimestampLtz(_) => {
            cast::on_clock(&Col::Array(array.clone()), kind, array.len(), zone)
        }
        Kind::Nested(nested) => on_clock(array, nested, zone),
        _ => Ok(array.clone()),
    })
}

type OfPart<'a> = &'a dyn Fn(&ArrayRef, Kind, Kind) -> Result<ArrayRef, EngineError>;

/// Values made anew, each part by `convert` from one kind to another.
fn by_part(
    array: &ArrayRef,
    from: &Nested,
    to: &Nested,
    convert: OfPart<'_>,
) -> Result<ArrayRef, EngineError> {
    let parts = from.parts_with(to);
    Ok(match (array.data_type(), parts.as_slice()) {
        (DataType::List(_), [(from, to)]) => {
            let list = array.as_list::<i32>();
            let (offsets, values) = rebased(list.offsets(), list.values());
            let values = convert(&values, *from, *to)?;
            let field = Arc::new(Field::new("item", to.arrow(), true));
            Arc::new(ListArray::try_new(field, offsets, values, list.nulls().cloned())?)
        }
        (DataType::Map(..), [key, value]) => {
            let map = array.as_map();
            let (offsets, keys) = rebased(map.offsets(), map.keys());
            let (_, values) = rebased(map.offsets(), map.values());
            let keys = convert(&keys, key.0, key.1)?;
            let values = convert(&values, value.0, value.1)?;
            map_of(offsets, keys, values, map.nulls().cloned())?
        }
        (DataType::Struct(_), parts) => {
            let row = array.as_struct();
            let absent = is_null(row)?;
            let columns = row.columns().iter().zip(parts).map(|(column, (from, to))| {
                // What lies where there is no row must not fail.
                convert(&nullif(column, &absent)?, *from, *to)
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let DataType::Struct(fields) = to.kind_of().arrow() else {
                return Err(EngineError::internal("a ROW is no struct"));
            };
            Arc::new(StructArray::try_new(fields, columns, row.nulls().cloned())?)
        }
        _ => return Err(EngineError::internal("values of another form than their type's")),
    })
}

/// The offsets from 0 on, and the values that they reach.
fn rebased(offsets: &OffsetBuffer<i32>, values: &ArrayRef) -> (OffsetBuffer<i32>, ArrayRef) {
    let (first, last) =
        (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    let lengths = offsets.lengths();
    (OffsetBuffer::from_lengths(lengths), values.slice(first as usize, (last - first) as usize))
}

/// A column of maps.
pub(crate) fn map_of(
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<arrow::buffer::NullBuffer>,
) -> Result<ArrayRef, EngineError> {
    let fields = vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", values.data_type().clone(), true),
    ];
    let entries = StructArray::try_new(fields.into(), vec![keys, values], None)?;
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, false)?))
}
