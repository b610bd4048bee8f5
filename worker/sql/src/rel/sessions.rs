//! Rows with the bounds of their sessions, which are known when these have ended: rows are collected
//! by sessions, and leave with the bounds beside them.

use std::sync::Arc;

use weir_engine::aggregate::functions::ARRAY_AGG;
use weir_engine::operators::unnest::spec::Elements;

use super::{
    Aggregate, AggregateCall, Field, Rel, RelKind, Role, TimeWindow, Unnest, WindowId, calc,
    identity,
};
use crate::error::{Span, SqlError};
use crate::expr::{Expr, Style, cast};
use crate::functions::{self, Arg};
use crate::types::{Kind, Nested, SqlType};

/// The rows of `SESSION(…)` without an aggregation: `fields` are the input's and the bounds.
pub(crate) fn rows_of_sessions(
    input: &Arc<Rel>,
    time: usize,
    id: &WindowId,
    fields: &[Field],
    span: Span,
) -> Result<Arc<Rel>, SqlError> {
    let plain = |name: String, ty: SqlType| Field { name, ty, role: Role::Plain };
    let cast_to = |expr: Expr, kind: Kind| {
        let cast = cast::cast(expr, SqlType::nullable(kind), Style::Hidden, false, span);
        cast.map_err(|message| SqlError::new(span, message))
    };
    let row = |values: Vec<Expr>| {
        functions::bind("ROW", values.into_iter().map(Arg::Expr).collect(), span, span)
    };
    let columns = identity(input);
    // Of a row of one value ARRAY_AGG keeps the value, which is the whole row here.
    let whole = row(columns.clone())?;
    let kind = whole.kind();
    let mut exprs = vec![cast_to(columns[time].clone(), Kind::Timestamp(3))?];
    let mut names = vec![plain("$time".to_owned(), exprs[0].ty)];
    for &column in &id.partition {
        names.push(plain(format!("$key {}", input.fields[column].name), columns[column].ty));
        exprs.push(columns[column].clone());
    }
    exprs.push(row(vec![whole])?);
    names.push(plain("$row".to_owned(), exprs[exprs.len() - 1].ty));
    let (keys, at) = (id.partition.len(), exprs.len() - 1);
    let collected = calc(input, None, exprs, names.clone());
    let mut grouped: Vec<Field> = names[1..=keys].to_vec();
    let list = Nested::array(kind);
    grouped.push(plain("$rows".to_owned(), SqlType::nullable(list)));
    let bound = SqlType::not_null(Kind::Timestamp(3));
    grouped.extend(["$start", "$end", "$last"].map(|name| plain(name.to_owned(), bound)));
    let aggregate = Aggregate {
        input: collected,
        over: Some(TimeWindow { time: 0, window: id.window, zone: id.zone }),
        ends: None,
        keys: (1..=keys).collect(),
        calls: vec![AggregateCall {
            function: ARRAY_AGG,
            input: Some(at),
            filter: None,
            distinct: false,
            kind: list,
            name: "$rows".to_owned(),
        }],
        ttl: None,
        span,
    };
    let aggregate = Arc::new(Rel { kind: RelKind::Aggregate(aggregate), fields: grouped });
    let bounds: Vec<usize> = (keys + 1..keys + 4).collect();
    let mut elements: Vec<Field> = bounds.iter().map(|&b| aggregate.fields[b].clone()).collect();
    elements.extend(input.fields.iter().map(|field| plain(field.name.clone(), field.ty)));
    let unnest = Unnest {
        input: aggregate,
        column: keys,
        elements: Elements::Items { flat: true },
        kept: bounds,
        outer: false,
        on: None,
        ordinality: false,
        span,
    };
    let elements = crate::bind::aggregate::unique(elements);
    let rows = Arc::new(Rel { kind: RelKind::Unnest(unnest), fields: elements });
    let width = input.fields.len();
    let mut shown = Vec::new();
    for (column, field) in fields.iter().enumerate() {
        let from = if column < width { column + 3 } else { column - width };
        let expr = Expr::column(from, rows.fields[from].ty, span);
        shown.push(cast_to(expr, field.ty.kind)?);
    }
    Ok(calc(&rows, None, shown, fields.to_vec()))
}
