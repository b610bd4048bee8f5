//! Queries inside of WHERE: `IN`, `EXISTS` and their opposites are joins that give rows of FROM
//! alone; a query that gives one value is a column more.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array};

use super::aggregate::Keys;
use super::expr::{
    ExprBinder, FoundAggregate, Scope, bind_plain, call, choose, compare_op, condition, logical,
};
use super::join::Joined;
use super::query::{Ctes, From};
use super::{Binder, Reported};
use crate::ast::{self, BinaryOp, Body, ExprKind, SelectItem};
use crate::error::Span;
use crate::expr::{Expr, Style, compare};
use crate::rel::{Equal, Field, JoinKind, Rel, conjuncts, equality, join, join_fields};
use crate::types::{Kind, SqlType};

/// Whether rows of a query match.
struct Question<'a> {
    of: Option<&'a ast::Expr>,
    query: &'a ast::Query,
    negated: bool,
    span: Span,
}

fn question(expr: &ast::Expr) -> Option<Question<'_>> {
    match &expr.kind {
        ExprKind::InQuery { of, query, negated } => {
            Some(Question { of: Some(of), query, negated: *negated, span: expr.span })
        }
        ExprKind::Exists(query) => {
            Some(Question { of: None, query, negated: false, span: expr.span })
        }
        ExprKind::Not(inner) => {
            question(inner).map(|asked| Question { negated: !asked.negated, ..asked })
        }
        _ => None,
    }
}

/// The parts of a condition that must all hold.
fn parts<'a>(expr: &'a ast::Expr, into: &mut Vec<&'a ast::Expr>) {
    match &expr.kind {
        ExprKind::Binary { left, op: BinaryOp::And, right } => {
            parts(left, into);
            parts(right, into);
        }
        _ => into.push(expr),
    }
}

/// Queries that stand for a value, in the order of the text.
fn values<'a>(expr: &'a ast::Expr, into: &mut Vec<(Span, &'a ast::Query)>) {
    if let ExprKind::Scalar(query) = &expr.kind {
        into.push((expr.span, query));
    }
    crate::parse::children(&expr.kind).for_each(|child| values(child, into));
}

/// The SELECT of a query that is nothing else.
pub(super) fn plain(query: &ast::Query) -> Option<&ast::Select> {
    match &query.body {
        _ if !query.ctes.is_empty() || !query.tail.is_empty() => None,
        Body::Select(select) => Some(select.as_ref()).filter(|s| s.qualify.is_none()),
        Body::Nested(inner) => plain(inner),
        Body::Values { .. } | Body::Union(_) | Body::Set { .. } => None,
    }
}

/// A query with what it says of the rows around it.
pub(super) struct Inside {
    pub(super) from: From,
    /// Over the columns of FROM around it, then its own.
    pub(super) on: Vec<Expr>,
}

impl Binder<'_> {
    /// FROM with all queries inside of a SELECT joined to it, and what is left of WHERE.
    pub(super) fn subqueries<'a>(
        &mut self,
        from: From,
        select: &'a ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<(From, Vec<&'a ast::Expr>), Reported> {
        let (mut from, filters) = self.questions(from, select.filter.as_ref(), ctes)?;
        let mut found = Vec::new();
        for item in &select.items {
            if let SelectItem::Expr { expr, .. } = item {
                values(expr, &mut found);
            }
        }
        filters.iter().for_each(|filter| values(filter, &mut found));
        for (span, query) in found {
            from = self.value(from, query, span, ctes)?;
        }
        Ok((from, filters))
    }

    fn questions<'a>(
        &mut self,
        mut from: From,
        filter: Option<&'a ast::Expr>,
        ctes: &Ctes<'_>,
    ) -> Result<(From, Vec<&'a ast::Expr>), Reported> {
        let mut all = Vec::new();
        filter.into_iter().for_each(|filter| parts(filter, &mut all));
        let mut others = Vec::new();
        for part in all {
            match question(part) {
                Some(asked) => from = self.ask(from, &asked, ctes)?,
                None => others.push(part),
            }
        }
        Ok((from, others))
    }

    /// The rows of FROM for which the answer is yes.
    fn ask(&mut self, from: From, asked: &Question<'_>, ctes: &Ctes<'_>) -> Result<From, Reported> {
        let width = from.rel.fields.len();
        let (right, mut on, values) = match self.inside_of(&from, asked.query, ctes)? {
            Some((inside, values)) => (inside.from.rel, inside.on, values),
            None => {
                let rel = self.query(asked.query, ctes)?;
                let values = crate::rel::identity(&rel);
                (rel, Vec::new(), values)
            }
        };
        if let Some(of) = asked.of {
            // Of a row each value is compared with a column, unless the column holds rows.
            let of = match crate::parse::row(of) {
                Some(of) if values.len() != 1 => of,
                _ => std::slice::from_ref(of),
            };
            if of.len() != values.len() {
                let compared = match of.len() {
                    1 => "one column".to_owned(),
                    many => format!("{many} columns"),
                };
                let message = format!(
                    "IN compares with {compared}, and this query gives {}; select the one that is meant",
                    values.len()
                );
                return self.fail(asked.query.span, message);
            }
            for (of, value) in of.iter().zip(&values) {
                let scope = scope_of(&from);
                let bound = bind_plain(of, &scope, "has no place in WHERE; use HAVING");
                let of = self.keep(bound)?;
                let value = value.renumber(&|column| column + width);
                on.push(self.is_in(of, value, asked)?);
            }
        }
        self.refuse_chance(&on)?;
        let kind = if asked.negated { JoinKind::Anti } else { JoinKind::Semi };
        let rel = join(&from.rel, &right, kind, on, asked.span);
        Ok(From { rel, ..from })
    }

    /// Whether a value is the query's. It is not known to be none of them if one of the two is NULL.
    fn is_in(&mut self, of: Expr, value: Expr, asked: &Question<'_>) -> Result<Expr, Reported> {
        let span = asked.span;
        let equal = self.keep(compare_op(of.clone(), BinaryOp::Eq, value.clone(), span))?;
        let mut result = equal;
        for side in [of, value] {
            if asked.negated && side.ty.nullable {
                let test = compare::null_test(false);
                let boolean = SqlType::not_null(Kind::Boolean);
                let is_null = call("IS NULL", vec![side], test, boolean, Style::Postfix, span);
                result = logical(BinaryOp::Or, result, self.keep(is_null)?, span);
            }
        }
        Ok(result)
    }

    /// A query that selects from rows as they are, and its columns over its own FROM; `None` if it
    /// does more than that, and so cannot speak of the rows around it.
    fn inside_of(
        &mut self,
        outer: &From,
        query: &ast::Query,
        ctes: &Ctes<'_>,
    ) -> Result<Option<(Inside, Vec<Expr>)>, Reported> {
        let Some(select) = plain(query) else { return Ok(None) };
        if select.group_by.is_some() || select.having.is_some() || select.from.is_none() {
            return Ok(None);
        }
        let inside = self.inside(outer, select, ctes)?;
        let scope = scope_of(&inside.from);
        let (mut columns, mut aggregates) = (Vec::new(), Vec::new());
        for item in &select.items {
            match item {
                SelectItem::Star { qualifier, span } => {
                    let joined = Joined::of(&inside.from);
                    let star = joined.star(qualifier.as_ref(), scope.fields, *span);
                    columns.extend(self.keep(star)?.into_iter().map(|(expr, _)| expr));
                }
                SelectItem::Expr { expr, .. } => {
                    let mut binder = ExprBinder {
                        scope: &scope,
                        aggregates: Some(&mut aggregates),
                        no_aggregates: "",
                        over: None,
                        matching: None,
                    };
                    let bound = binder.bind(expr);
                    columns.push(self.keep(bound)?);
                }
            }
        }
        Ok(aggregates.is_empty().then_some((inside, columns)))
    }

    pub(super) fn inside(
        &mut self,
        outer: &From,
        select: &ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<Inside, Reported> {
        let Some(relation) = &select.from else {
            return self.fail(select.span, "a query inside of another needs a FROM");
        };
        let from = self.from(relation, ctes)?;
        let (from, filters) = self.questions(from, select.filter.as_ref(), ctes)?;
        let fields = join_fields(&outer.rel, &from.rel, JoinKind::Inner);
        let joined = Joined::inside(outer, &from);
        let scope = Scope { joined: Some(&joined), ..scope_over(&fields, &from.place) };
        let mut on = Vec::new();
        for filter in filters {
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: None,
                no_aggregates: "has no place in WHERE; use HAVING",
                over: None,
                matching: None,
            };
            let bound = condition(&mut binder, filter, "WHERE");
            conjuncts(self.keep(bound)?, &mut on);
        }
        Ok(Inside { from, on })
    }

    /// FROM with the value of a query as a column more.
    fn value(
        &mut self,
        from: From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let aggregated = match plain(query) {
            Some(select)
                if select.group_by.is_none()
                    && select.having.is_none()
                    && select.distinct.is_none()
                    && select.from.is_some() =>
            {
                self.aggregated(&from, select, span, ctes)?
            }
            _ => None,
        };
        let Some(Aggregated { rel, on, empty, keys }) = aggregated else {
            let rel = self.query(query, ctes)?;
            if rel.fields.len() != 1 {
                let message = format!(
                    "a query that stands for a value gives one column, this one gives {}",
                    rel.fields.len()
                );
                return self.fail(span, message);
            }
            if !rel.keys().iter().any(Vec::is_empty) {
                return self.fail(span, "this query may give more than one row where one value is wanted; take an aggregate of them, such as MAX, without GROUP BY, or join the query");
            }
            let width = from.rel.fields.len();
            let value = Expr::column(width, SqlType::nullable(rel.fields[0].ty.kind), span);
            return Ok(with_value(from, &rel, Vec::new(), value, span));
        };
        let from_width = from.rel.fields.len();
        let there = Expr::column(from_width + keys + 1, SqlType::nullable(Kind::Boolean), span);
        let is_there = call(
            "IS NOT NULL",
            vec![there],
            compare::null_test(true),
            SqlType::not_null(Kind::Boolean),
            Style::Postfix,
            span,
        );
        let is_there = self.keep(is_there)?;
        let kind = rel.fields[keys].ty.kind;
        let value = Expr::column(from_width + keys, SqlType::nullable(kind), span);
        let chosen = choose(vec![is_there], vec![value, empty], "a query's value", span);
        let chosen = self.keep(chosen)?;
        Ok(with_value(from, &rel, on, chosen, span))
    }

    /// An aggregate over the rows of a query, by what it says of the rows around it; `None` if
    /// it aggregates nothing.
    fn aggregated(
        &mut self,
        outer: &From,
        select: &ast::Select,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Option<Aggregated>, Reported> {
        let [SelectItem::Expr { expr, .. }] = select.items.as_slice() else { return Ok(None) };
        let width = outer.rel.fields.len();
        let Inside { from, on } = self.inside(outer, select, ctes)?;
        let scope = scope_of(&from);
        let mut found = Vec::new();
        let mut binder = ExprBinder {
            scope: &scope,
            aggregates: Some(&mut found),
            no_aggregates: "",
            over: None,
            matching: None,
        };
        let bound = binder.bind(expr);
        let item = self.keep(bound)?;
        if found.is_empty() {
            return Ok(None);
        }
        let (mut filter, mut equal) = (None, Vec::new());
        for part in on {
            let mut columns = BTreeSet::new();
            part.columns(&mut columns);
            if columns.first().is_none_or(|first| *first >= width) {
                let part = part.renumber(&|column| column.saturating_sub(width));
                filter = crate::rel::and(filter, Some(part));
                continue;
            }
            match equality(&part, width) {
                Some(found) if !found.null_safe => equal.push(found),
                _ => {
                    return self.fail(part.span, "a query that aggregates rows can speak of the rows around it by equality alone: <column of it> = <column around it>; write this as a join");
                }
            }
        }
        let own = from.rel.fields.len();
        // Of no rows a count is 0, all else is NULL.
        let of_nothing = |call: &FoundAggregate| match call.function.is_nullable() {
            true => Expr::null(call.kind, span),
            false => Expr::literal(Arc::new(Int64Array::from(vec![0])), Kind::BigInt, span),
        };
        let nothing: Vec<Expr> = found.iter().map(of_nothing).collect();
        let empty = item.substitute(&|column| match column.checked_sub(own) {
            Some(call) => nothing[call].clone(),
            None => Expr::null(from.rel.fields[column].ty.kind, span),
        });
        let keys: Vec<Expr> = equal.iter().map(|e: &Equal| e.right.clone()).collect();
        let there = Expr::literal(Arc::new(BooleanArray::from(vec![true])), Kind::Boolean, span);
        let named = |(number, key): (usize, Expr)| (key, format!("key{number}"));
        let mut items: Vec<(Expr, String)> = keys.iter().cloned().enumerate().map(named).collect();
        items.push((item, "value".to_owned()));
        items.push((there, "there".to_owned()));
        let rel = self.aggregate(select, &from, filter, Keys::all(keys), found, items, None)?;
        let mut on = Vec::new();
        for (number, Equal { left, .. }) in equal.iter().enumerate() {
            let key = Expr::column(width + number, rel.fields[number].ty, span);
            on.push(self.keep(compare_op(left.clone(), BinaryOp::Eq, key, span))?);
        }
        self.refuse_chance(&on)?;
        Ok(Some(Aggregated { rel, on, empty, keys: equal.len() }))
    }
}

/// FROM with the rows of a query beside it, and a value over both that stands for the query.
fn with_value(from: From, rel: &Arc<Rel>, on: Vec<Expr>, value: Expr, span: Span) -> From {
    let width = from.rel.fields.len();
    let mut joined = Joined::of(&from);
    joined.add_value(span, value, width..width + rel.fields.len());
    let rel = join(&from.rel, rel, JoinKind::Left, on, span);
    From { rel, joined: Some(joined), ..from }
}

/// An aggregate by keys: columns of these, the value, and TRUE.
struct Aggregated {
    rel: Arc<Rel>,
    on: Vec<Expr>,
    /// What the aggregate is of no rows.
    empty: Expr,
    keys: usize,
}

pub(super) fn scope_over<'a>(fields: &'a [Field], place: &'a str) -> Scope<'a> {
    Scope { fields, qualifier: None, place, aliases: &[], joined: None }
}

pub(super) fn scope_of(from: &From) -> Scope<'_> {
    Scope {
        qualifier: from.qualifier.as_deref(),
        joined: from.joined.as_ref(),
        ..scope_over(&from.rel.fields, &from.place)
    }
}
