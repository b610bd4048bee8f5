//! Top-N: a condition on a rank around `OVER`, and `ORDER BY … LIMIT`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_engine::operators::rank::spec::{RankFunction, SortColumn};

use super::query::Ctes;
use super::{Binder, Reported};
use crate::ast::{self, Body, ExprKind, OrderItem, SelectItem};
use crate::expr::{Expr, Node};
use crate::rel::{Over, OverFunction, Rank, Rel, RelKind, and, calc, conjuncts, identity, timed};
use crate::types::{Kind, SqlType};

/// A window whose rank is bounded, as what it then is.
pub(crate) struct TopN {
    /// The same columns.
    pub(crate) rel: Arc<Rel>,
    /// What is left of the condition.
    pub(crate) rest: Option<Expr>,
    /// The rank's column, and what it is where only one is wanted.
    rank: usize,
    only: Option<ArrayRef>,
}

impl TopN {
    /// An expression over the window's columns with what is known of the rank.
    pub(crate) fn replace(&self, expr: &Expr) -> Expr {
        let Some(only) = &self.only else { return expr.clone() };
        expr.substitute(&|column| {
            let ty = SqlType::not_null(Kind::BigInt);
            if column == self.rank {
                Expr::literal(only.clone(), Kind::BigInt, expr.span)
            } else {
                Expr::column(column, self.rel.fields.get(column).map_or(ty, |f| f.ty), expr.span)
            }
        })
    }
}

/// A window under a condition that bounds its rank from above; `None` if it does not, or if the
/// window computes more than a rank.
pub(crate) fn top_n(over: &Over, rel: &Rel, condition: &Expr) -> Option<TopN> {
    let [call] = over.calls.as_slice() else { return None };
    let function = match call.function {
        OverFunction::RowNumber => RankFunction::RowNumber,
        OverFunction::Rank => RankFunction::Rank,
        OverFunction::DenseRank => RankFunction::DenseRank,
        _ => return None,
    };
    let rank = over.input.fields.len();
    let (mut from, mut to, mut rest) = (1_i64, None, None);
    let mut parts = Vec::new();
    conjuncts(condition.clone(), &mut parts);
    for part in parts {
        match bound(&part, rank) {
            Some((low, high)) => {
                from = low.map_or(from, |low| from.max(low));
                to = match (to, high) {
                    (Some(to), Some(high)) => Some(std::cmp::min::<i64>(to, high)),
                    (to, high) => to.or(high),
                };
            }
            None => rest = and(rest, Some(part)),
        }
    }
    let to = to?;
    if to < from {
        // No rank is both; the condition itself says so of every row.
        return None;
    }
    let only = (from == to && function == RankFunction::RowNumber)
        .then(|| Arc::new(Int64Array::from(vec![from])) as ArrayRef);
    let ranked = Rank {
        input: over.input.clone(),
        partition: over.partition.clone(),
        order: by_arrival(&over.input, over.order.clone()),
        function,
        from: from.unsigned_abs(),
        to: to.unsigned_abs(),
        span: over.span,
        limit: false,
        at_end: false,
    };
    let rel = Rel { kind: RelKind::Rank(ranked), fields: rel.fields.clone() };
    let mut top = TopN { rel: Arc::new(rel), rest: None, rank, only };
    top.rest = rest.map(|rest| top.replace(&rest));
    Some(top)
}

/// The order of rows; those that are sorted by when they come are so without being told.
fn by_arrival(input: &Rel, order: Vec<SortColumn>) -> Vec<SortColumn> {
    match (&input.kind, order.as_slice()) {
        (RelKind::Arrivals { time, .. }, [sort]) if sort.column == *time && !sort.descending => {
            Vec::new()
        }
        _ => order,
    }
}

/// The first and the last rank of a comparison of the rank with a number.
fn bound(condition: &Expr, rank: usize) -> Option<(Option<i64>, Option<i64>)> {
    let Node::Call(call) = &*condition.node else { return None };
    let [a, b] = call.args.as_slice() else { return None };
    let (value, sign) = match (a.as_column(), b.as_column()) {
        (Some(column), None) if column == rank => (number(b)?, call.name.as_str()),
        (None, Some(column)) if column == rank => {
            let turned = match call.name.as_str() {
                "<" => ">",
                "<=" => ">=",
                ">" => "<",
                ">=" => "<=",
                sign => sign,
            };
            (number(a)?, turned)
        }
        _ => return None,
    };
    match sign {
        "=" => Some((Some(value), Some(value))),
        "<" => Some((None, Some(value.checked_sub(1)?))),
        "<=" => Some((None, Some(value))),
        ">" => Some((Some(value.checked_add(1)?), None)),
        ">=" => Some((Some(value), None)),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<i64> {
    let value = expr.as_literal()?.as_primitive_opt::<Int64Type>()?;
    value.is_valid(0).then(|| value.value(0))
}

impl Binder<'_> {
    /// A query with its ORDER BY, LIMIT and OFFSET.
    pub(super) fn ordered(
        &mut self,
        query: &ast::Query,
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let ast::Query { body, tail, span, .. } = query;
        let (mut body, mut hidden) = (body.clone(), 0);
        let mut rel = self.body(&body, *span, ctes)?;
        let width = rel.fields.len();
        let names: Vec<String> = rel.fields.iter().map(|field| field.name.clone()).collect();
        let mut columns = Vec::new();
        for (number, item) in tail.order.iter().enumerate() {
            let column = match self.output_column(item, &names)? {
                Some(column) => column,
                None => {
                    // It is no column of the result: computed beside those, and left out again.
                    let Some(select) = plain_select(&mut body) else {
                        return self.fail(item.expr.span, "ORDER BY takes columns of the result here; put the query in FROM and order around it");
                    };
                    let name = format!("$order{number}");
                    let alias = ast::Ident { text: name, span: item.expr.span };
                    select
                        .items
                        .push(SelectItem::Expr { expr: item.expr.clone(), alias: Some(alias) });
                    hidden += 1;
                    width + hidden - 1
                }
            };
            columns.push((column, item));
        }
        if hidden > 0 {
            rel = self.body(&body, *span, ctes)?;
        }
        let mut order = Vec::new();
        for (column, item) in columns {
            order.push(self.sort_column(&rel, column, item)?);
        }
        if let Some(first) = order.first() {
            rel = timed(&rel, first.column);
        }
        let rel = self.limited(rel, Vec::new(), order, tail)?;
        let mut exprs = identity(&rel);
        exprs.truncate(width);
        Ok(calc(&rel, None, exprs, rel.fields[..width].to_vec()))
    }

    /// A column that rows are sorted by.
    pub(super) fn sort_column(
        &mut self,
        rel: &Rel,
        column: usize,
        item: &OrderItem,
    ) -> Result<SortColumn, Reported> {
        if let Err(message) = super::over::has_order(rel.fields[column].ty.kind) {
            return self.fail(item.expr.span, message);
        }
        let descending = item.descending;
        Ok(SortColumn { column, descending, nulls_first: item.nulls_first.unwrap_or(!descending) })
    }

    /// The first rows of each key, in an order.
    pub(super) fn limited(
        &mut self,
        rel: Arc<Rel>,
        partition: Vec<usize>,
        order: Vec<SortColumn>,
        tail: &ast::Tail,
    ) -> Result<Arc<Rel>, Reported> {
        let skipped = tail.offset.map_or(0, |(rows, _)| u64::from(rows));
        let to = match tail.limit {
            Some((0, span)) => {
                let none = super::asked::truth(false, span);
                return Ok(calc(&rel, Some(none), identity(&rel), rel.fields.clone()));
            }
            Some((rows, _)) => skipped + u64::from(rows),
            None if self.batch => u64::MAX,
            None => return self.sorted(rel, order, tail),
        };
        let fields = rel.fields.clone();
        let ranked = Rank {
            order: by_arrival(&rel, order),
            input: rel,
            partition,
            function: RankFunction::RowNumber,
            from: skipped + 1,
            to,
            span: tail.span,
            limit: true,
            at_end: self.batch,
        };
        Ok(Arc::new(Rel { kind: RelKind::Rank(ranked), fields }))
    }

    /// ORDER BY without LIMIT.
    fn sorted(
        &mut self,
        rel: Arc<Rel>,
        order: Vec<SortColumn>,
        tail: &ast::Tail,
    ) -> Result<Arc<Rel>, Reported> {
        if let Some((_, span)) = tail.offset {
            return self.fail(
                span,
                "OFFSET needs a LIMIT: without one all rows that ever come would be kept",
            );
        }
        let first = order.first();
        let by_time = first
            .is_some_and(|first| rel.fields[first.column].role.is_rowtime() && !first.descending);
        if !by_time {
            return self.fail(tail.span, "ORDER BY without LIMIT needs the event time, ascending, as its first column: a stream has no end to sort at; add LIMIT, or sort by the event time");
        }
        let fields = rel.fields.clone();
        let over = Over {
            input: rel,
            partition: Vec::new(),
            order,
            calls: Vec::new(),
            at_once: false,
            span: tail.span,
        };
        Ok(Arc::new(Rel { kind: RelKind::Over(over), fields }))
    }

    /// The column of the result that rows are sorted by, if it is one.
    pub(super) fn output_column(
        &mut self,
        item: &OrderItem,
        names: &[String],
    ) -> Result<Option<usize>, Reported> {
        let (span, width) = (item.expr.span, names.len());
        match &item.expr.kind {
            ExprKind::Number(text) => match text.parse::<usize>() {
                Ok(position) if (1..=width).contains(&position) => Ok(Some(position - 1)),
                _ => self.fail(
                    span,
                    format!("ORDER BY {text} is no column of the result, which has {width}"),
                ),
            },
            ExprKind::Column(parts) => {
                let [name] = parts.as_slice() else { return Ok(None) };
                let mut found = names.iter().enumerate().filter(|(_, known)| **known == name.text);
                match (found.next(), found.next()) {
                    (Some(_), Some(_)) => self.fail(span, format!("column \"{}\" is ambiguous: the result has several of this name; give them different names with AS", name.text)),
                    (found, _) => Ok(found.map(|(column, _)| column)),
                }
            }
            _ => Ok(None),
        }
    }
}

/// The SELECT that further columns can be added to.
fn plain_select(body: &mut Body) -> Option<&mut ast::Select> {
    match body {
        Body::Select(select) if select.distinct.is_none() => Some(select),
        _ => None,
    }
}
