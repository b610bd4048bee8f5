//! What stands in FROM beside rows and may speak of them: UNNEST, and `LATERAL (SELECT …)`.

use std::sync::Arc;

use arrow::array::{Array, AsArray};

use super::around::Rows;
use super::expr::{ExprBinder, Scope, condition};
use super::join::Joined;
use super::query::{Ctes, From};
use super::select::item_name;
use super::subquery::{Inside, Items, plain, scope_of, scope_over};
use super::{Binder, Reported};
use crate::ast::{self, JoinClause, JoinOn, Relation, RelationKind, SelectItem};
use crate::error::SqlError;
use crate::expr::Expr;
use crate::rel::{JoinKind, Rel, RelKind, Unnest, calc, identity, join};

impl Binder<'_> {
    /// A join whose right side may speak of the left one.
    pub(super) fn beside(
        &mut self,
        left: From,
        clause: &JoinClause,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let what = match clause.right.kind {
            RelationKind::Unnest(_) => "UNNEST",
            _ => "LATERAL",
        };
        if !matches!(clause.kind, JoinKind::Inner | JoinKind::Left) {
            let message = format!(
                "{what} stands for rows beside those before it: write CROSS JOIN {what}, or LEFT JOIN {what} … ON TRUE for all of those"
            );
            return self.fail(clause.span, message);
        }
        let on = match &clause.on {
            JoinOn::Nothing => None,
            JoinOn::Condition(on) => Some(on),
            JoinOn::Using(_) | JoinOn::Natural => {
                let message = format!("{what} takes ON with a condition, or CROSS JOIN");
                return self.fail(clause.span, message);
            }
        };
        match &clause.right.kind {
            RelationKind::Unnest(call) => {
                let outer = clause.kind == JoinKind::Left;
                let from = self.unnested(left, &clause.right, call, outer)?;
                self.where_on(from, on, outer)
            }
            RelationKind::Lateral(query) => self.lateral(left, clause, query, on, ctes),
            _ => self.from(&clause.right, ctes),
        }
    }

    /// The rows for which ON holds.
    fn where_on(
        &mut self,
        from: From,
        on: Option<&ast::Expr>,
        outer: bool,
    ) -> Result<From, Reported> {
        let Some(on) = on else { return Ok(from) };
        let scope = scope_of(&from);
        let mut binder = ExprBinder {
            scope: &scope,
            aggregates: None,
            no_aggregates: "has no place in ON",
            over: None,
            matching: None,
        };
        let bound = condition(&mut binder, on, "ON");
        let bound = self.keep(bound)?;
        let is_true = bound.as_literal().is_some_and(|value| {
            value.is_valid(0) && value.as_boolean_opt().is_some_and(|value| value.value(0))
        });
        if is_true {
            return Ok(from);
        }
        if let (true, RelKind::Unnest(unnest)) = (outer, &from.rel.kind) {
            self.refuse_chance(std::slice::from_ref(&bound))?;
            let unnest = Unnest { on: Some(bound), ..unnest.clone() };
            let fields = from.rel.fields.clone();
            let rel = Arc::new(Rel { kind: RelKind::Unnest(unnest), fields });
            return Ok(From { rel, ..from });
        }
        if outer {
            return self.fail(on.span, "LEFT JOIN LATERAL takes ON TRUE alone: it keeps rows that have nothing beside them; write the condition inside of LATERAL");
        }
        let (rel, rest) = crate::rel::filtered(&from.rel, Some(bound));
        let rel = match rest {
            Some(_) => calc(&rel, rest, identity(&rel), rel.fields.clone()),
            None => rel,
        };
        Ok(From { rel, ..from })
    }

    fn lateral(
        &mut self,
        left: From,
        clause: &JoinClause,
        query: &ast::Query,
        on: Option<&ast::Expr>,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        // Where all names are those of the query itself, it is a query like any other.
        let (errors, warnings) = (self.errors.len(), self.warnings.len());
        if self.query(query, ctes).is_ok() {
            let kind = RelationKind::Subquery(Box::new(query.clone()));
            let right = Relation { kind, ..clause.right.clone() };
            return self.join(&JoinClause { right, ..clause.clone() }, ctes);
        }
        let of_itself: Vec<SqlError> = self.errors.drain(errors..).collect();
        self.warnings.truncate(warnings);
        let width = left.rel.fields.len();
        let found = match self.found_beside(&left, clause, query, ctes) {
            Err(Reported) if self.errors.len() > errors => return Err(Reported),
            found => found.ok().flatten(),
        };
        let Some((from, items)) = found else {
            // A name may be one of the rows before the query. What is wrong whatever the names stand
            // for says more than that they stand for nothing.
            let (first, mut others) = (of_itself.first().cloned(), of_itself.into_iter());
            if let Some(precise) = others.find(|error| !error.is_of_a_name) {
                return Err(self.report(precise));
            }
            let why = first.map_or_else(String::new, |e| format!(" (by itself: {})", e.message));
            let message = format!(
                "a query behind LATERAL that speaks of the rows before it can select, group, aggregate and take the first rows; write what does more as a query of its own and join it by its keys{why}"
            );
            return self.fail(clause.right.span, message);
        };
        let names = &clause.right.columns;
        if !names.is_empty() && names.len() != items.len() {
            let message = format!("{} names for {} columns", names.len(), items.len());
            return self.fail(clause.right.span, message);
        }
        let mut items = items;
        items.iter_mut().zip(names).for_each(|((_, name), given)| name.clone_from(&given.text));
        let alias = clause.right.alias.as_ref().map(|alias| alias.text.clone());
        let part = Joined::one(alias, "the query behind LATERAL".to_owned(), items.len());
        let of_left = Joined::of(&left);
        self.told_apart(&of_left, &part, clause.right.span)?;
        let rel = Self::with_items(&from.rel, width, items);
        let joined = Some(of_left.and(part, width));
        let from = From { rel, qualifier: None, place: "FROM".to_owned(), joined };
        self.where_on(from, on, clause.kind == JoinKind::Left)
    }

    /// A query that speaks of the rows before it: these beside its own, and its columns over both;
    /// `None` if it does more than can be told apart by what it says of them.
    fn found_beside(
        &mut self,
        left: &From,
        clause: &JoinClause,
        query: &ast::Query,
        ctes: &Ctes<'_>,
    ) -> Result<Option<(From, Items)>, Reported> {
        let (width, span) = (left.rel.fields.len(), clause.right.span);
        let over_both = |rel: &Arc<Rel>, kind: JoinKind, on: Vec<Expr>| From {
            rel: join(&left.rel, rel, kind, on, clause.span),
            qualifier: None,
            place: "FROM".to_owned(),
            joined: None,
        };
        let ungrouped = plain(query).filter(|select| {
            select.group_by.is_none() && select.having.is_none() && select.from.is_some()
        });
        if let Some(select) = ungrouped.filter(|select| select.distinct.is_none()) {
            if let Some(found) = self.correlated(left, clause, select, ctes)? {
                return Ok(Some(found));
            }
            // Of no rows, too, there is a sum.
            let Some(aggregated) = self.aggregated(left, select, span, ctes)? else {
                return Ok(None);
            };
            let on = self.found(&aggregated.around, &aggregated.rel, width, span)?;
            self.refuse_chance(&on)?;
            let from = over_both(&aggregated.rel, JoinKind::Left, on);
            let items = self.values_beside(aggregated, width, span)?;
            return Ok(Some((from, items)));
        }
        let before = self.errors.len();
        let Ok(rows) = self.rows_of(left, query, span, ctes) else {
            self.errors.truncate(before);
            return Ok(None);
        };
        let Rows { rel, names, around, .. } = rows;
        let on = self.found(&around, &rel, width, span)?;
        self.refuse_chance(&on)?;
        let from = over_both(&rel, clause.kind, on);
        let values = from.rel.fields.iter().enumerate().skip(width + around.len());
        let values = values.map(|(column, field)| Expr::column(column, field.ty, span));
        let items = values.zip(names).collect();
        Ok(Some((from, items)))
    }

    /// A query that speaks of the rows before it: these beside those of its FROM, and its columns
    /// over both; `None` if it does more than choose and compute.
    fn correlated(
        &mut self,
        left: &From,
        clause: &JoinClause,
        select: &ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<Option<(From, Items)>, Reported> {
        let width = left.rel.fields.len();
        let of_left = |from: &From| From {
            rel: from.rel.clone(),
            qualifier: from.qualifier.clone(),
            place: from.place.clone(),
            joined: from.joined.clone(),
        };
        let from = match &select.from {
            Some(relation) if matches!(relation.kind, RelationKind::Unnest(_)) => {
                let RelationKind::Unnest(call) = &relation.kind else { return Ok(None) };
                if clause.kind != JoinKind::Inner {
                    return self.fail(clause.right.span, "write LEFT JOIN UNNEST(…) ON TRUE instead of LEFT JOIN LATERAL (SELECT … FROM UNNEST(…))");
                }
                let from = self.unnested(of_left(left), relation, call, false)?;
                let joined = from.joined.clone().map(|joined| joined.inside_from(width));
                let from = From { joined, ..from };
                self.where_on(from, select.filter.as_ref(), false)?
            }
            _ => {
                let Inside { from: own, on } = self.inside(left, select, ctes)?;
                self.refuse_chance(&on)?;
                let joined = Some(Joined::inside(left, &own));
                let rel = join(&left.rel, &own.rel, clause.kind, on, clause.span);
                From { rel, qualifier: None, place: own.place, joined }
            }
        };
        let fields = from.rel.fields.clone();
        let scope = Scope { joined: from.joined.as_ref(), ..scope_over(&fields, &from.place) };
        let (mut items, mut aggregates): (Items, _) = (Vec::new(), Vec::new());
        for item in &select.items {
            match item {
                SelectItem::Star { qualifier, span } => {
                    let star = Joined::of(&from).star(qualifier.as_ref(), &fields, *span);
                    let star = self.keep(star)?;
                    let own = |(expr, _): &(Expr, String)| {
                        qualifier.is_some() || expr.as_column().is_none_or(|c| c >= width)
                    };
                    items.extend(star.into_iter().filter(own));
                }
                SelectItem::Expr { expr, alias } => {
                    let mut binder = ExprBinder {
                        scope: &scope,
                        aggregates: Some(&mut aggregates),
                        no_aggregates: "",
                        over: None,
                        matching: None,
                    };
                    let bound = binder.bind(expr);
                    let bound = self.keep(bound)?;
                    let name = item_name(alias.as_ref(), expr, items.len());
                    items.push((bound, name));
                }
            }
        }
        if !aggregates.is_empty() {
            return Ok(None);
        }
        let computed = items.iter().find(|(item, _)| item.as_column().is_none_or(|c| c < width));
        if let (JoinKind::Left, Some((item, _))) = (clause.kind, computed) {
            return self.fail(item.span, "where LEFT JOIN LATERAL finds nothing its columns are NULL, which only columns of the query's own FROM are by themselves; compute in the SELECT list around it");
        }
        Ok(Some((from, items)))
    }
}
