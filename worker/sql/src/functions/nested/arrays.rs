//! Functions of arrays. Elements that are NULL are equal to each other here.

use std::sync::Arc;

use arrow::array::{BooleanArray, Int32Array};
use arrow::datatypes::Int32Type;
use arrow::row::Rows;

use super::access::element_of;
use super::pool::Pool;
use crate::error::SqlError;
use crate::expr::col::{Bools, Prims};
use crate::expr::{Col, Expr};
use crate::functions::{Site, Want};
use crate::types::{Kind, Nested, SqlType};

type Bound = Result<Expr, SqlError>;

/// An array and an element, which has to be of the array's type.
fn with_element(site: &Site) -> Result<(Kind, Vec<Expr>), SqlError> {
    site.expect_count(2..=2)?;
    let of = element_of(site, 0)?;
    let element = site.expr(1)?;
    if element.kind().common(of) != Some(of) {
        return site.type_error(1, &format!("an element, {of}"));
    }
    let element = crate::bind::expr::cast_to(element.clone(), of, element.span)?;
    Ok((of, vec![site.expr(0)?, element]))
}

fn nullable(args: &[Expr]) -> bool {
    args.iter().any(|arg| arg.ty.nullable)
}

/// Arrays made of an array and an element each row.
fn extended(site: &Site, first: bool) -> Bound {
    let (of, args) = with_element(site)?;
    let ty = SqlType { kind: Nested::array(of), nullable: args[0].ty.nullable };
    site.call(args, ty, false, move |args, rows| {
        let pool = Pool::new(&args[..1], &args[1..])?;
        let one = |row: usize| {
            let (list, item) = (pool.list(0, row)?, pool.item(1, row));
            Some(if first {
                std::iter::once(item).chain(list).collect()
            } else {
                list.chain([item]).collect()
            })
        };
        pool.lists((0..rows).map(one))
    })
}

pub(super) fn append(site: &mut Site) -> Bound {
    extended(site, false)
}

pub(super) fn prepend(site: &mut Site) -> Bound {
    extended(site, true)
}

pub(super) fn contains(site: &mut Site) -> Bound {
    let (_, args) = with_element(site)?;
    let ty = SqlType { kind: Kind::Boolean, nullable: args[0].ty.nullable };
    site.call(args, ty, false, |args, rows| {
        let pool = Pool::new(&args[..1], &args[1..])?;
        let values = pool.comparable()?;
        let one = |row: usize| {
            let item = values.row(pool.item(1, row) as usize);
            Some(pool.list(0, row)?.any(|at| values.row(at as usize) == item))
        };
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()))
    })
}

/// From 1; 0: it is not there; NULL where NULL is looked for.
pub(super) fn position(site: &mut Site) -> Bound {
    let (_, args) = with_element(site)?;
    let ty = SqlType { kind: Kind::Int, nullable: nullable(&args) };
    site.call(args, ty, false, |args, rows| {
        let pool = Pool::new(&args[..1], &args[1..])?;
        let values = pool.comparable()?;
        let one = |row: usize| {
            let (mut list, item) = (pool.list(0, row)?, pool.item(1, row));
            let found = list.position(|at| values.row(at as usize) == values.row(item as usize));
            (!pool.is_null(item)).then(|| found.map_or(0, |at| at as i32 + 1))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Int32Array>()))
    })
}

pub(super) fn remove(site: &mut Site) -> Bound {
    let (of, args) = with_element(site)?;
    let ty = SqlType { kind: Nested::array(of), nullable: args[0].ty.nullable };
    site.call(args, ty, false, |args, rows| {
        let pool = Pool::new(&args[..1], &args[1..])?;
        let values = pool.comparable()?;
        let one = |row: usize| {
            let item = values.row(pool.item(1, row) as usize);
            Some(pool.list(0, row)?.filter(|at| values.row(*at as usize) != item).collect())
        };
        pool.lists((0..rows).map(one))
    })
}

/// Arrays of one type, brought to one.
fn alike(site: &Site) -> Result<(Kind, Vec<Expr>), SqlError> {
    let mut kind = site.expr(0)?.kind();
    for i in 0..site.args.len() {
        element_of(site, i)?;
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
    Ok((kind, args))
}

/// Arrays made of the elements of others, by what is equal.
fn made(
    site: &Site,
    count: std::ops::RangeInclusive<usize>,
    of: impl Fn(Vec<Vec<u32>>, &Rows) -> Vec<u32> + Send + Sync + 'static,
) -> Bound {
    site.expect_count(count)?;
    let (kind, args) = alike(site)?;
    let ty = SqlType { kind, nullable: nullable(&args) };
    site.call(args, ty, false, move |args, rows| {
        let pool = Pool::new(args, &[])?;
        let values = pool.comparable()?;
        let one = |row: usize| {
            let lists = (0..args.len()).map(|arg| pool.list(arg, row).map(Iterator::collect));
            Some(of(lists.collect::<Option<_>>()?, &values))
        };
        pool.lists((0..rows).map(one))
    })
}

fn is_in(list: &[u32], element: u32, values: &Rows) -> bool {
    list.iter().any(|at| values.row(*at as usize) == values.row(element as usize))
}

/// Each value once, in the order of their first.
fn once(elements: impl Iterator<Item = u32>, values: &Rows) -> Vec<u32> {
    let mut kept = Vec::new();
    for element in elements {
        if !is_in(&kept, element, values) {
            kept.push(element);
        }
    }
    kept
}

pub(super) fn distinct(site: &mut Site) -> Bound {
    made(site, 1..=1, |lists, values| once(lists.into_iter().flatten(), values))
}

pub(super) fn union(site: &mut Site) -> Bound {
    made(site, 2..=2, |lists, values| once(lists.into_iter().flatten(), values))
}

pub(super) fn concat(site: &mut Site) -> Bound {
    made(site, 1..=usize::MAX, |lists, _| lists.into_iter().flatten().collect())
}

pub(super) fn reverse(site: &mut Site) -> Bound {
    made(site, 1..=1, |lists, _| lists.into_iter().flatten().rev().collect())
}

pub(super) fn except(site: &mut Site) -> Bound {
    made(site, 2..=2, |lists, values| {
        once(lists[0].iter().copied().filter(|&at| !is_in(&lists[1], at, values)), values)
    })
}

pub(super) fn intersect(site: &mut Site) -> Bound {
    made(site, 2..=2, |lists, values| {
        once(lists[0].iter().copied().filter(|&at| is_in(&lists[1], at, values)), values)
    })
}

/// From and to, both counted from 1, or from the end below 0; 0 is the first.
pub(super) fn slice(site: &mut Site) -> Bound {
    site.expect_count(2..=3)?;
    let of = element_of(site, 0)?;
    let mut args = vec![site.expr(0)?];
    for i in 1..site.args.len() {
        args.push(site.want(i, Want::Int)?);
    }
    let ty = SqlType { kind: Nested::array(of), nullable: nullable(&args) };
    site.call(args, ty, false, |args, rows| {
        let pool = Pool::new(&args[..1], &[])?;
        let bounds: Vec<_> = args[1..].iter().map(Prims::<Int32Type>::of).collect();
        let one = |row: usize| {
            let list = pool.list(0, row)?;
            let length = i64::from(list.end - list.start);
            let place = |at: i32| match i64::from(at) {
                at @ ..0 => length + at + 1,
                at => at,
            };
            let first = place(bounds.first()?.get(row)?).max(1);
            let last = match bounds.get(1) {
                Some(last) => place(last.get(row)?).min(length),
                None => length,
            };
            let at = |place: i64| list.start + (place - 1) as u32;
            Some(if first > last { Vec::new() } else { (at(first)..=at(last)).collect() })
        };
        pool.lists((0..rows).map(one))
    })
}

pub(super) fn sort(site: &mut Site) -> Bound {
    site.expect_count(1..=3)?;
    let of = element_of(site, 0)?;
    let mut args = vec![site.expr(0)?];
    for i in 1..site.args.len() {
        args.push(site.want(i, Want::Boolean)?);
    }
    let ty = SqlType { kind: Nested::array(of), nullable: nullable(&args) };
    site.call(args, ty, false, |args, rows| {
        let pool = Pool::new(&args[..1], &[])?;
        let values = pool.comparable()?;
        let flags: Vec<_> = args[1..].iter().map(Bools::of).collect();
        let one = |row: usize| {
            let ascending = flags.first().map_or(Some(true), |flag| flag.get(row))?;
            let nulls_first = flags.get(1).map_or(Some(ascending), |flag| flag.get(row))?;
            let (nulls, mut others): (Vec<u32>, Vec<u32>) =
                pool.list(0, row)?.partition(|&at| pool.is_null(at));
            others.sort_by(|&a, &b| {
                let order = values.row(a as usize).cmp(&values.row(b as usize));
                if ascending { order } else { order.reverse() }
            });
            Some(if nulls_first { [nulls, others] } else { [others, nulls] }.concat())
        };
        pool.lists((0..rows).map(one))
    })
}

/// The greatest or the least that is not NULL.
fn extreme(site: &Site, greatest: bool) -> Bound {
    site.expect_count(1..=1)?;
    let of = element_of(site, 0)?;
    site.call(vec![site.expr(0)?], SqlType::nullable(of), false, move |args: &[Col], rows| {
        let pool = Pool::new(args, &[])?;
        let values = pool.comparable()?;
        let one = |row: usize| {
            let list = pool.list(0, row)?.filter(|&at| !pool.is_null(at));
            let order = |a: &u32, b: &u32| values.row(*a as usize).cmp(&values.row(*b as usize));
            if greatest { list.max_by(order) } else { list.min_by(order) }
        };
        pool.elements((0..rows).map(one))
    })
}

pub(super) fn max(site: &mut Site) -> Bound {
    extreme(site, true)
}

pub(super) fn min(site: &mut Site) -> Bound {
    extreme(site, false)
}
