//! The rows of a query that speaks of the rows around it, told apart by what it says of these: all
//! that the rows around need to find their own in a join.

use std::sync::Arc;

use super::aggregate::{Keys, same};
use super::expr::{ExprBinder, condition};
use super::query::{Ctes, From};
use super::select::item_name;
use super::sets::grouped;
use super::subquery::{Beside, plain, scope_of};
use super::{Binder, Reported};
use crate::ast::{self, Body, ExprKind, SelectItem};
use crate::error::{Span, SqlError};
use crate::expr::Expr;
use crate::rel::{Field, Rel, Role, calc, identity};

/// What is left of a query for the rows around it.
pub(super) struct Rows {
    /// The columns by which they find their rows, then the query's values.
    pub(super) rel: Arc<Rel>,
    /// The names of these values.
    pub(super) names: Vec<String>,
    /// The other side of these columns, over FROM around, and whether NULL finds NULL.
    pub(super) around: Vec<(Expr, bool)>,
    /// Whether a row around finds one of them at most.
    pub(super) is_one: bool,
}

impl Binder<'_> {
    /// The rows of a query by what it says of the rows around it.
    pub(super) fn rows_of(
        &mut self,
        outer: &From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let Some((inside, values)) = self.inside_of(outer, query, ctes)? else {
            return self.rows_by_itself(outer, query, span, ctes);
        };
        let Beside { from: own, filter, keys, moved } = self.beside_rows(outer, inside, span)?;
        let (mut exprs, mut around) = (Vec::new(), Vec::new());
        for key in keys {
            exprs.push(key.own);
            around.push((key.around, key.null_safe));
        }
        let mut names = Vec::new();
        for (value, name) in values {
            exprs.push(value.renumber(&|column| column + moved));
            names.push(name);
        }
        let (rel, filter) = crate::rel::filtered(&own.rel, filter);
        let field = |(number, expr): (usize, &Expr)| Field {
            name: format!("value{number}"),
            ty: expr.ty,
            role: Role::Plain,
        };
        let fields = exprs.iter().enumerate().map(field).collect();
        let mut rel = calc(&rel, filter, exprs, fields);
        if plain(query).is_some_and(|select| select.distinct.is_some()) {
            let width = rel.fields.len();
            rel = self.final_rows(&grouped(rel, width, Vec::new(), span));
        }
        // A declared key is not checked: what it says does not keep a second row away.
        let is_one = rel.keys().iter().any(Vec::is_empty);
        Ok(Rows { rel, names, around, is_one })
    }

    /// The rows of a query that does more than select: by itself, or where it speaks of the rows
    /// around it, of what it says of them each.
    pub(super) fn rows_by_itself(
        &mut self,
        outer: &From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let (errors, warnings) = (self.errors.len(), self.warnings.len());
        if let Ok(rel) = self.query(query, ctes) {
            let is_one = rel.keys().iter().any(Vec::is_empty);
            let names = rel.fields.iter().map(|field| field.name.clone()).collect();
            return Ok(Rows { rel, names, around: Vec::new(), is_one });
        }
        let Some(select) = around_a_select(query) else { return Err(Reported) };
        let by_itself: Vec<SqlError> = self.errors.drain(errors..).collect();
        self.warnings.truncate(warnings);
        if select.distinct.is_some() {
            // Refused with what is wrong with it by itself.
        } else if query.tail.limit.is_some() {
            return self.first_rows(outer, query, select, span, ctes);
        } else if is_grouped(select) {
            return self.groups_of(outer, select, span, ctes);
        }
        self.errors.extend(by_itself);
        Err(Reported)
    }

    /// The first rows, in an order, of those that each of the rows around has.
    fn first_rows(
        &mut self,
        outer: &From,
        query: &ast::Query,
        select: &ast::Select,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let mut select = select.clone();
        let mut hidden = 0;
        // What rows are sorted by is computed behind the columns, unless it is the place of one.
        for item in &query.tail.order {
            if !matches!(item.expr.kind, ExprKind::Number(_)) {
                let expr = aliased(&item.expr, &select).clone();
                select.items.push(SelectItem::Expr { expr, alias: None });
                hidden += 1;
            }
        }
        let all = ast::Query {
            body: Body::Select(Box::new(select)),
            tail: ast::Tail::default(),
            ..query.clone()
        };
        let Rows { rel, mut names, around, .. } = self.rows_of(outer, &all, span, ctes)?;
        names.truncate(names.len() - hidden);
        let shown = around.len() + names.len();
        let (mut order, mut next) = (Vec::new(), shown);
        for item in &query.tail.order {
            let place = match item.expr.kind {
                ExprKind::Number(_) => self.output_column(item, &names)?,
                _ => None,
            };
            let column = place.map_or(next, |place| around.len() + place);
            next += usize::from(place.is_none());
            order.push(self.sort_column(&rel, column, item)?);
        }
        let first = self.limited(rel, (0..around.len()).collect(), order, &query.tail)?;
        let (mut exprs, mut fields) = (identity(&first), first.fields.clone());
        exprs.truncate(shown);
        fields.truncate(shown);
        let is_one = query.tail.limit.is_some_and(|(rows, _)| rows == 1);
        Ok(Rows { rel: calc(&first, None, exprs, fields), names, around, is_one })
    }

    /// The groups of a query, by what it says of the rows around it as well.
    fn groups_of(
        &mut self,
        outer: &From,
        select: &ast::Select,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let inside = self.inside(outer, select, ctes)?;
        let scope = scope_of(&inside.from);
        let mut found = Vec::new();
        let (mut keys, mut items, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for key in select.group_by.iter().flat_map(|group| &group.keys) {
            keys.push(self.key_of_groups(key, &scope)?);
        }
        let mut binder = ExprBinder {
            scope: &scope,
            aggregates: Some(&mut found),
            no_aggregates: "",
            over: None,
            matching: None,
        };
        let mut having = None;
        for item in &select.items {
            let bound = match item {
                SelectItem::Expr { expr, alias } => {
                    names.push(item_name(alias.as_ref(), expr, names.len()));
                    binder.bind(expr)
                }
                SelectItem::Star { span, .. } => {
                    Err(SqlError::new(*span, "a query that groups names its columns"))
                }
            };
            items.push(self.keep(bound)?);
        }
        if let Some(condition_of) = &select.having {
            let bound = condition(&mut binder, condition_of, "HAVING");
            having = Some((self.keep(bound)?, condition_of.span));
        }
        let Beside { from, filter, keys: own, moved } = self.beside_rows(outer, inside, span)?;
        let place = |column: usize| column + moved;
        for call in &mut found {
            for part in [&mut call.arg, &mut call.filter].into_iter().flatten() {
                *part = part.renumber(&place);
            }
        }
        let keys: Vec<Expr> = keys.iter().map(|key| key.renumber(&place)).collect();
        let having = having.map(|(having, at)| (having.renumber(&place), at));
        let is_one = keys.iter().all(|key| own.iter().any(|known| same(&known.own, key)));
        let (mut by, mut around, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (number, key) in own.into_iter().enumerate() {
            named.push((key.own.clone(), format!("key{number}")));
            by.push(key.own);
            around.push((key.around, key.null_safe));
        }
        by.extend(keys);
        for (number, item) in items.iter().enumerate() {
            named.push((item.renumber(&place), format!("value{number}")));
        }
        let keys = Keys::all(by);
        let rel = self.with_lasting(select, |b| {
            b.aggregate(select, &from, filter, keys, found, named, having)
        })?;
        Ok(Rows { rel: self.final_rows(&rel), names, around, is_one })
    }
}

/// Whether a SELECT has groups, and no sets of them.
fn is_grouped(select: &ast::Select) -> bool {
    select.group_by.as_ref().is_some_and(|group| group.sets.is_empty() && !group.keys.is_empty())
}

/// The SELECT of a query that has nothing before it, and behind it at most an order and a limit.
fn around_a_select(query: &ast::Query) -> Option<&ast::Select> {
    match &query.body {
        _ if !query.ctes.is_empty() => None,
        Body::Select(select) => Some(select.as_ref()).filter(|s| s.qualify.is_none()),
        Body::Nested(inner) if query.tail.is_empty() => around_a_select(inner),
        _ => None,
    }
}

/// What ORDER BY sorts by: a column of the result by its name in AS, or an expression.
fn aliased<'a>(by: &'a ast::Expr, select: &'a ast::Select) -> &'a ast::Expr {
    let ExprKind::Column(parts) = &by.kind else { return by };
    let [name] = parts.as_slice() else { return by };
    let named = select.items.iter().find_map(|item| match item {
        SelectItem::Expr { expr, alias: Some(alias) } if alias.text == name.text => Some(expr),
        _ => None,
    });
    named.unwrap_or(by)
}
