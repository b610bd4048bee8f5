//! Queries that stand for a value beside aggregates: in SELECT and HAVING of a query that groups,
//! outside of its aggregates. They are asked of the groups, not of the rows: each is a column from
//! [`ABOVE`] on until the groups are there, and is joined to these then.

use std::sync::Arc;

use weir_engine::aggregate::functions as aggregates;

use super::aggregate::map_children;
use super::asked::Asked;
use super::expr::SINGLE_VALUE;
use super::join::Joined;
use super::query::{Ctes, From};
use super::subquery::{gives_aggregates, is_value, values};
use super::{Binder, Reported};
use crate::ast::{self, ExprKind, SelectItem};
use crate::error::Span;
use crate::expr::{Call, Expr, Node, Style};
use crate::rel::{Field, Rel, Role, calc, identity};
use crate::types::{Kind, SqlType};

/// The column of the first such query; below those of OVER.
pub(super) const ABOVE: usize = 1 << 23;

/// The name of the call that keeps what `IN` looks for until the groups are there.
const SOUGHT: &str = "IN QUERY";

/// A query that is asked of groups.
#[derive(Clone)]
pub(super) struct Above {
    expr: ast::Expr,
    /// What WITH names around it.
    ctes: Vec<(String, Option<Arc<Rel>>)>,
}

/// Whether an expression holds an aggregate of the query itself.
pub(super) fn aggregates(expr: &ast::Expr) -> bool {
    is_aggregate(expr) || crate::parse::children(&expr.kind).any(aggregates)
}

fn is_aggregate(expr: &ast::Expr) -> bool {
    let ExprKind::Call(call) = &expr.kind else { return false };
    let name = call.name.text.to_ascii_uppercase();
    call.over.is_none() && (aggregates::find(&name).is_some() || name == SINGLE_VALUE)
}

/// Whether a SELECT gives a row for a group and not for a row.
fn groups(select: &ast::Select) -> bool {
    select.group_by.is_some() || select.having.is_some() || gives_aggregates(select)
}

/// Queries that stand for values: those in arguments of aggregates, and the others.
fn parted<'a>(
    expr: &'a ast::Expr,
    inside: &mut Vec<&'a ast::Expr>,
    outside: &mut Vec<&'a ast::Expr>,
) {
    if is_aggregate(expr) {
        values(expr, inside);
        return;
    }
    for child in crate::parse::children(&expr.kind) {
        parted(child, inside, outside);
    }
    if is_value(expr) {
        outside.push(expr);
    }
}

/// Whether two expressions are the same but for where they stand.
fn is_written_like(a: &ast::Expr, b: &ast::Expr) -> bool {
    // Written out, a place does not say where it is.
    format!("{a:#?}") == format!("{b:#?}")
}

/// What `IN` looks for, bound, beside the column that stands for its answer.
pub(super) fn sought(answer: Expr, of: Vec<Expr>, span: Span) -> Expr {
    let ty = answer.ty;
    let call = Call {
        name: SOUGHT.to_owned(),
        args: std::iter::once(answer).chain(of).collect(),
        kind: Kind::Boolean,
        kernel: Arc::new(|_, _| {
            Err(weir_engine::EngineError::internal("IN was not replaced by its answer"))
        }),
        fallible: true,
        // So that it is not computed before it means something.
        nondeterministic: Some(SOUGHT),
        style: Style::Function,
    };
    Expr::new(Node::Call(call), ty, span)
}

/// Whether a column stands for the answer of such a query.
pub(super) fn is_above(column: usize) -> bool {
    (ABOVE..super::over::OVER).contains(&column)
}

impl Binder<'_> {
    /// FROM with the queries of the SELECT list and HAVING as values: joined to it, or left for the
    /// groups where the query groups.
    pub(super) fn values_of_items(
        &mut self,
        mut from: From,
        select: &ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let items = select.items.iter().filter_map(|item| match item {
            SelectItem::Expr { expr, .. } => Some(expr),
            SelectItem::Star { .. } => None,
        });
        let (mut below, mut above, mut of_keys) = (Vec::new(), Vec::new(), Vec::new());
        if groups(select) {
            for expr in items.chain(&select.having) {
                parted(expr, &mut below, &mut above);
            }
            let keys = select.group_by.iter().flat_map(|group| &group.keys);
            keys.for_each(|key| values(key, &mut of_keys));
            below.extend(&of_keys);
        } else {
            items.chain(&select.qualify).for_each(|expr| values(expr, &mut below));
        }
        for expr in below {
            from = self.value_of(from, expr, ctes)?;
        }
        let mut joined = Joined::of(&from);
        // One that stands in GROUP BY as well is what the rows were grouped by.
        above.retain(|expr| {
            let key = of_keys.iter().find(|key| is_written_like(key, expr));
            let value = key.and_then(|key| joined.value(key.span));
            match value {
                Some(value) => joined.add_value(expr.span, value),
                None => return true,
            }
            false
        });
        for (number, expr) in above.iter().enumerate() {
            let ty = match &expr.kind {
                ExprKind::Scalar(_) => self.type_of_value(&from, expr, ctes)?,
                _ => SqlType::nullable(Kind::Boolean),
            };
            joined.add_value(expr.span, Expr::column(ABOVE + number, ty, expr.span));
            let ctes = ctes.iter().map(|(name, rel)| ((*name).to_owned(), rel.clone())).collect();
            joined.above.push(Above { expr: (*expr).clone(), ctes });
        }
        let is_same = above.is_empty() && of_keys.is_empty();
        Ok(if is_same { from } else { From { joined: Some(joined), ..from } })
    }

    /// The type of a query's value.
    fn type_of_value(
        &mut self,
        from: &From,
        expr: &ast::Expr,
        ctes: &Ctes<'_>,
    ) -> Result<SqlType, Reported> {
        let warnings = self.warnings.len();
        let tried = From {
            rel: from.rel.clone(),
            qualifier: from.qualifier.clone(),
            place: from.place.clone(),
            joined: from.joined.clone(),
        };
        let tried = self.value_of(tried, expr, ctes)?;
        self.warnings.truncate(warnings);
        let value = tried.joined.and_then(|joined| joined.value(expr.span));
        match value {
            Some(value) => Ok(SqlType::nullable(value.kind())),
            None => self.fail(expr.span, "this query stands for no value"),
        }
    }

    /// Joins the queries that are asked of groups to these. `keys`: for each column of FROM the
    /// group's column, where it is one. Expressions are over the groups' columns before, and over
    /// the result's behind.
    pub(super) fn asked_of_groups(
        &mut self,
        groups: &Arc<Rel>,
        from: &From,
        keys: &dyn Fn(usize) -> Option<usize>,
        exprs: &mut [Expr],
    ) -> Result<Arc<Rel>, Reported> {
        let above = match &from.joined {
            Some(joined) if !joined.above.is_empty() => joined.above.clone(),
            _ => return Ok(groups.clone()),
        };
        // What names of FROM mean stands before the groups' own columns.
        let width = from.rel.fields.len();
        let (mut shown, mut fields, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (column, field) in from.rel.fields.iter().enumerate() {
            let ty = match keys(column) {
                Some(key) => {
                    shown.push(Expr::column(key, groups.fields[key].ty, Span::default()));
                    groups.fields[key].ty
                }
                None => {
                    absent.push(column);
                    shown.push(Expr::null(field.ty.kind, Span::default()));
                    SqlType::nullable(field.ty.kind)
                }
            };
            fields.push(Field { name: field.name.clone(), ty, role: Role::Plain });
        }
        shown.extend(identity(groups));
        fields.extend(groups.fields.iter().map(|f| Field {
            // No name of the program.
            name: format!("$group {}", f.name),
            role: Role::Plain,
            ..f.clone()
        }));
        let rel = calc(groups, None, shown, super::aggregate::unique(fields));
        let mut joined = Joined::of(from);
        joined.above.clear();
        joined.absent = absent;
        joined.hide(width..rel.fields.len());
        let (qualifier, place) = (from.qualifier.clone(), from.place.clone());
        let mut of = From { rel, qualifier, place, joined: Some(joined) };
        let moved = |column: usize| if is_above(column) { column } else { column + width };
        exprs.iter_mut().for_each(|expr| *expr = expr.renumber(&moved));
        for (number, Above { expr, ctes }) in above.iter().enumerate() {
            let ctes: Vec<(&str, Option<Arc<Rel>>)> =
                ctes.iter().map(|(name, rel)| (name.as_str(), rel.clone())).collect();
            let looked_for = exprs.iter().find_map(|expr| sought_by(expr, ABOVE + number));
            of = match &expr.kind {
                ExprKind::InQuery { .. } | ExprKind::Compared { .. } => {
                    match Asked::new(expr, looked_for.unwrap_or_default()) {
                        Some(asked) => self.answered(of, asked, &ctes)?,
                        None => of,
                    }
                }
                _ => self.value_of(of, expr, &ctes)?,
            };
            let value = of.joined.as_ref().and_then(|joined| joined.value(expr.span));
            let Some(value) = value else {
                return self.fail(expr.span, "this query stands for no value");
            };
            exprs.iter_mut().for_each(|expr| *expr = answered(expr, ABOVE + number, &value));
        }
        Ok(of.rel)
    }
}

/// What the `IN` looks for whose answer is this column.
fn sought_by(expr: &Expr, answer: usize) -> Option<Vec<Expr>> {
    if let Node::Call(call) = &*expr.node
        && call.name == SOUGHT
        && call.args.first().and_then(Expr::as_column) == Some(answer)
    {
        return Some(call.args[1..].to_vec());
    }
    expr.children().into_iter().find_map(|child| sought_by(child, answer))
}

/// The expression with a value in the place of the column that stands for it.
fn answered(expr: &Expr, answer: usize, value: &Expr) -> Expr {
    let is_answer = |expr: &Expr| expr.as_column() == Some(answer);
    let of_in = match &*expr.node {
        Node::Call(call) => call.name == SOUGHT && call.args.first().is_some_and(is_answer),
        _ => false,
    };
    if of_in || is_answer(expr) {
        return Expr { span: expr.span, ..value.clone() };
    }
    map_children(expr, &mut |child| answered(child, answer, value))
}
