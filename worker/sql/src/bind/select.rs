//! SELECT: its clauses, bound one by one.

use std::sync::Arc;

use super::aggregate::Keys;
use super::expr::{ExprBinder, Scope, bind_plain, condition};
use super::grouping::is_of_groups;
use super::lookup::Hints;
use super::over::{Clauses, Grouped, OverCalls};
use super::query::{Ctes, From};
use super::{Binder, Reported, legacy};
use crate::ast::{self, SelectItem};
use crate::error::{SqlError, did_you_mean};
use crate::expr::Expr;
use crate::rel::{Field, Rel, and, calc, filtered, identity, role_of};

/// What the item of a SELECT list is called that has so many before it.
pub(super) fn item_name(alias: Option<&ast::Ident>, expr: &ast::Expr, before: usize) -> String {
    match (alias, &expr.kind) {
        (Some(alias), _) => alias.text.clone(),
        (None, ast::ExprKind::Column(parts)) => {
            parts.last().map(|part| part.text.clone()).unwrap_or_default()
        }
        _ => format!("EXPR${before}"),
    }
}

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let rel = self.selected(select, ctes)?;
        Ok(self.final_rows(&rel))
    }

    /// Tables of hints have to be there, as in Flink; which way of joining they wish is nothing to
    /// choose here.
    fn check_join_hints(&mut self, select: &ast::Select) -> Result<(), Reported> {
        let names = select.from.as_ref().map(ast::Relation::names).unwrap_or_default();
        let tables = select.join_hints.iter().flat_map(|h| h.tables.iter().map(|t| (h.name, t)));
        for (hint, table) in tables {
            if !names.contains(&table.text.as_str()) {
                let meant = did_you_mean(&table.text, names.iter().copied(), '"');
                let message = format!(
                    "the hint {hint} is for \"{}\", which this FROM does not have{meant}; give a table's name or alias",
                    table.text
                );
                return self.fail(table.span, message);
            }
        }
        Ok(())
    }

    fn selected(&mut self, select: &ast::Select, ctes: &Ctes<'_>) -> Result<Arc<Rel>, Reported> {
        // Names of the tables as they were written.
        self.with_lasting(select, |binder| match binder.keep(legacy::rewritten(select))? {
            Some(select) => binder.of_clauses(&select, ctes),
            None => binder.of_clauses(select, ctes),
        })
    }

    /// FROM, with what the hints of its SELECT say of its tables.
    pub(super) fn hinted_from(
        &mut self,
        select: &ast::Select,
        relation: &ast::Relation,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        self.check_join_hints(select)?;
        let outer = self.hints.replace(Hints::of(&select.lookups));
        let from = self.from(relation, ctes);
        let hints = std::mem::replace(&mut self.hints, outer);
        let from = from?;
        self.refuse_unused(hints)?;
        Ok(from)
    }

    fn of_clauses(&mut self, select: &ast::Select, ctes: &Ctes<'_>) -> Result<Arc<Rel>, Reported> {
        let from = match &select.from {
            Some(relation) => self.hinted_from(select, relation, ctes)?,
            None => {
                self.check_join_hints(select)?;
                self.refuse_unused(Some(Hints::of(&select.lookups)))?;
                From::nothing()
            }
        };
        let from = self.with_watermarks(from, select)?;
        let (from, filters) = self.subqueries(from, select, ctes)?;
        let aliases: Vec<String> = select
            .items
            .iter()
            .filter_map(|item| match item {
                SelectItem::Expr { alias, .. } => alias.as_ref().map(|a| a.text.clone()),
                SelectItem::Star { .. } => None,
            })
            .collect();
        let scope = Scope {
            fields: &from.rel.fields,
            qualifier: from.qualifier.as_deref(),
            place: &from.place,
            aliases: &aliases,
            joined: from.joined.as_ref(),
        };
        let before = self.errors.len();
        let mut filter = None;
        for part in filters {
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: None,
                no_aggregates: "has no place in WHERE; use HAVING",
                over: None,
                matching: None,
            };
            let bound = condition(&mut binder, part, "WHERE");
            filter = and(filter, self.keep(bound).ok());
        }
        let mut aggregates = Vec::new();
        let mut over = OverCalls::of(select, self.batch);
        let mut items: Vec<(Expr, String)> = Vec::new();
        for item in &select.items {
            match item {
                SelectItem::Star { qualifier, span } => {
                    if let Some(joined) = &from.joined {
                        let star = joined.star(qualifier.as_ref(), &from.rel.fields, *span);
                        if let Ok(star) = self.keep(star) {
                            numbered(star, &mut items);
                        }
                        continue;
                    }
                    if let Some(qualifier) = qualifier
                        && scope.qualifier != Some(qualifier.text.as_str())
                    {
                        self.report(SqlError::of_a_name(
                            qualifier.span,
                            format!("table \"{}\" is not in FROM", qualifier.text),
                        ));
                        continue;
                    }
                    if scope.fields.is_empty() {
                        self.report(SqlError::new(*span, "'*' needs a FROM"));
                    }
                    for (i, field) in scope.fields.iter().enumerate() {
                        items.push((Expr::column(i, field.ty, *span), field.name.clone()));
                    }
                }
                SelectItem::Expr { expr, alias } => {
                    let mut binder = ExprBinder {
                        scope: &scope,
                        aggregates: Some(&mut aggregates),
                        no_aggregates: "",
                        over: Some(&mut over),
                        matching: None,
                    };
                    let bound = binder.bind(expr);
                    if let Ok(bound) = self.keep(bound) {
                        let name = item_name(alias.as_ref(), expr, items.len());
                        items.push((bound, name));
                    }
                }
            }
        }
        let having = select.having.as_ref().and_then(|having| {
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: Some(&mut aggregates),
                no_aggregates: "",
                over: None,
                matching: None,
            };
            let bound = condition(&mut binder, having, "HAVING");
            self.keep(bound).ok().map(|bound| (bound, having.span))
        });
        let qualify = select.qualify.as_ref().map(|qualify| {
            let mut qualify = qualify.clone();
            with_aliases(&mut qualify, &select.items);
            qualify
        });
        let qualify = qualify.as_ref().and_then(|qualify| {
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: Some(&mut aggregates),
                no_aggregates: "",
                over: Some(&mut over),
                matching: None,
            };
            let bound = condition(&mut binder, qualify, "QUALIFY");
            self.keep(bound).ok()
        });
        let mut keys = Vec::new();
        for key in select.group_by.iter().flat_map(|g| &g.keys) {
            if let Ok(bound) = self.key_of_groups(key, &scope) {
                keys.push(bound);
            }
        }
        let sets = select.group_by.as_ref().map(|group| group.sets.clone()).unwrap_or_default();
        if self.errors.len() > before {
            return Err(Reported);
        }
        let by_keys =
            items.iter().find(|(expr, _)| select.group_by.is_none() && is_of_groups(expr));
        if let Some((expr, _)) = by_keys {
            return self
                .fail(expr.span, "GROUPING tells grouping sets apart, and there is no GROUP BY");
        }
        let (rel, filter) = filtered(&from.rel, filter);
        let from = From { rel, ..from };
        let grouped = select.group_by.is_some() || !aggregates.is_empty() || having.is_some();
        if !over.is_empty() || qualify.is_some() {
            let keys = Keys { exprs: keys, sets };
            let grouped = grouped.then_some(Grouped { keys, aggregates, having });
            let clauses = Clauses { select, from: &from, filter, grouped, items, qualify };
            let rel = self.over(clauses, over)?;
            return match select.distinct {
                Some(_) => self.distinct(select, rel),
                None => Ok(rel),
            };
        }
        if grouped {
            let keys = Keys { exprs: keys, sets };
            let rel = self.aggregate(select, &from, filter, keys, aggregates, items, having)?;
            return match select.distinct {
                Some(_) => self.distinct(select, rel),
                None => Ok(rel),
            };
        }
        if select.distinct.is_some() {
            let keys = Keys::all(items.iter().map(|(expr, _)| expr.clone()).collect());
            return self.aggregate(select, &from, filter, keys, Vec::new(), items, None);
        }
        let fields = items
            .iter()
            .map(|(expr, name)| Field {
                name: name.clone(),
                ty: expr.ty,
                role: role_of(expr, &from.rel.fields),
            })
            .collect();
        Ok(calc(&from.rel, filter, items.into_iter().map(|(expr, _)| expr).collect(), fields))
    }
}

impl Binder<'_> {
    /// What GROUP BY groups by.
    pub(super) fn key_of_groups(
        &mut self,
        key: &ast::Expr,
        scope: &Scope<'_>,
    ) -> Result<Expr, Reported> {
        if matches!(key.kind, ast::ExprKind::Number(_)) {
            return self.fail(key.span, "GROUP BY takes columns and expressions, not positions");
        }
        let bound = bind_plain(key, scope, "has no place in GROUP BY");
        self.keep(bound)
    }

    /// Each of the rows of a query once.
    fn distinct(&mut self, select: &ast::Select, rel: Arc<Rel>) -> Result<Arc<Rel>, Reported> {
        let keys = identity(&rel);
        let items = keys.iter().cloned().zip(rel.fields.iter().map(|f| f.name.clone())).collect();
        let place = "the query".to_owned();
        let from = From { rel, qualifier: None, place, joined: None };
        self.aggregate(select, &from, None, Keys::all(keys), Vec::new(), items, None)
    }
}

/// Names of the SELECT list become what they stand for, before columns of these names do.
fn with_aliases(expr: &mut ast::Expr, items: &[SelectItem]) {
    if let ast::ExprKind::Column(parts) = &expr.kind
        && let [name] = parts.as_slice()
    {
        let named = items.iter().find_map(|item| match item {
            SelectItem::Expr { expr, alias: Some(alias) } if alias.text == name.text => Some(expr),
            _ => None,
        });
        if let Some(named) = named {
            *expr = named.clone();
        }
        return;
    }
    let children = ast::children_mut(&mut expr.kind);
    children.into_iter().for_each(|child| with_aliases(child, items));
}

/// Adds columns of `*`; of equal names the later ones are numbered, as in Flink.
fn numbered(star: Vec<(Expr, String)>, items: &mut Vec<(Expr, String)>) {
    for (expr, name) in star {
        let taken = |name: &str| items.iter().any(|(_, other)| other == name);
        let mut names = (0..).map(|number| format!("{name}{number}"));
        let name = if taken(&name) { names.find(|n| !taken(n)).unwrap_or(name) } else { name };
        items.push((expr, name));
    }
}
