//! FROM with several tables: what their names mean, and what ON says.

use std::collections::BTreeSet;
use std::ops::Range;

use super::above::Above;
use super::expr::{ExprBinder, Scope, call, condition};
use super::query::{Ctes, From};
use super::{Binder, Reported, temporal};
use crate::ast::{self, Ident, JoinClause, JoinOn, RelationKind};
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Expr, Style, compare};
use crate::rel::{Field, JoinKind, conjuncts, join, join_fields, lasting};
use crate::types::{Kind, SqlType};

/// The tables of a FROM with joins.
#[derive(Clone, Default)]
pub(crate) struct Joined {
    parts: Vec<Part>,
    /// Columns of USING: one of this name stands for that of either side.
    merged: Vec<(String, Expr)>,
    /// Columns that such a name stands for; only its table's name gives one of them.
    hidden: Vec<usize>,
    /// Queries that stand for values, by their place.
    values: Vec<(Span, Expr)>,
    /// Queries that are asked of groups.
    pub(super) above: Vec<Above>,
    /// Columns that groups have no value of.
    pub(super) absent: Vec<usize>,
    /// Where the columns of a query inside of another begin, whose names come first.
    inside: Option<usize>,
}

/// A table of it.
#[derive(Clone)]
struct Part {
    qualifier: Option<String>,
    place: String,
    columns: Range<usize>,
}

impl Joined {
    pub(super) fn of(from: &From) -> Self {
        from.joined.clone().unwrap_or_else(|| Self {
            parts: vec![Part {
                qualifier: from.qualifier.clone(),
                place: from.place.clone(),
                columns: 0..from.rel.fields.len(),
            }],
            ..Self::default()
        })
    }

    /// What names mean inside of a query.
    pub(super) fn inside(outer: &From, inner: &From) -> Self {
        let width = outer.rel.fields.len();
        Self { inside: Some(width), ..Self::of(outer).and(Self::of(inner), width) }
    }

    /// Adds a query that stands for a value.
    pub(super) fn add_value(&mut self, span: Span, value: Expr) {
        self.values.retain(|(known, _)| *known != span);
        self.values.push((span, value));
    }

    /// The name of its table, if it has one alone.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [part] => part.qualifier.as_deref(),
            _ => None,
        }
    }

    /// Takes the names of columns away.
    pub(super) fn hide(&mut self, columns: Range<usize>) {
        self.hidden.extend(columns);
    }

    /// The value that the query at this place stands for.
    pub(super) fn value(&self, span: Span) -> Option<Expr> {
        self.values.iter().find(|(at, _)| *at == span).map(|(_, value)| value.clone())
    }

    /// A table of so many columns.
    pub(super) fn one(qualifier: Option<String>, place: String, columns: usize) -> Self {
        let part = Part { qualifier, place, columns: 0..columns };
        Self { parts: vec![part], ..Self::default() }
    }

    /// Names of the columns from this one on come before others.
    pub(super) fn inside_from(self, first: usize) -> Self {
        Self { inside: Some(first), ..self }
    }

    /// Both, one behind the other.
    pub(super) fn and(mut self, other: Self, width: usize) -> Self {
        let moved = |part: Part| Part {
            columns: part.columns.start + width..part.columns.end + width,
            ..part
        };
        self.parts.extend(other.parts.into_iter().map(moved));
        let moved = |expr: Expr| expr.renumber(&|column| column + width);
        self.merged.extend(other.merged.into_iter().map(|(name, expr)| (name, moved(expr))));
        self.values.extend(other.values.into_iter().map(|(span, expr)| (span, moved(expr))));
        self.hidden.extend(other.hidden.into_iter().map(|column| column + width));
        self
    }

    /// What a name stands for, if for anything.
    fn find(&self, name: &str, fields: &[Field], span: Span) -> Result<Option<Expr>, SqlError> {
        let merged = self.merged.iter().filter(|(merged, _)| merged == name);
        let merged = merged.map(|(_, expr)| Expr { span, ..expr.clone() });
        let columns = (0..fields.len())
            .filter(|column| fields[*column].name == name && !self.hidden.contains(column))
            .map(|column| Expr::column(column, fields[column].ty, span));
        let mut found: Vec<Expr> = merged.chain(columns).collect();
        if let Some(inside) = self.inside {
            let is_inside = |expr: &Expr| {
                let mut columns = BTreeSet::new();
                expr.columns(&mut columns);
                columns.first().is_some_and(|first| *first >= inside)
            };
            if found.iter().any(is_inside) {
                found.retain(is_inside);
            }
        }
        let mut found = found.into_iter();
        let first = found.next();
        if found.next().is_some() {
            let of: Vec<String> = self
                .parts
                .iter()
                .filter(|part| fields[part.columns.clone()].iter().any(|f| f.name == name))
                .map(|part| match &part.qualifier {
                    Some(qualifier) => format!("\"{qualifier}\""),
                    None => part.place.clone(),
                })
                .collect();
            let message = format!(
                "column \"{name}\" is ambiguous: {} have one; write <table>.{name}",
                of.join(" and ")
            );
            return Err(SqlError::new(span, message));
        }
        Ok(first)
    }

    /// What `table.column` stands for.
    pub(super) fn qualified(
        &self,
        qualifier: &Ident,
        name: &Ident,
        fields: &[Field],
        span: Span,
    ) -> Result<Expr, SqlError> {
        let part = self.part(qualifier)?;
        let own = &fields[part.columns.clone()];
        let mut found = part.columns.clone().filter(|column| fields[*column].name == name.text);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(Expr::column(column, fields[column].ty, span)),
            (Some(_), Some(_)) => Err(SqlError::new(
                name.span,
                format!(
                    "column \"{}\" is ambiguous: {} has several of this name; give them different names with AS",
                    name.text, part.place
                ),
            )),
            (None, _) => {
                let hint = did_you_mean(&name.text, own.iter().map(|f| f.name.as_str()), '"');
                let message = format!("column \"{}\" not found in {}{hint}", name.text, part.place);
                Err(SqlError::of_a_name(name.span, message))
            }
        }
    }

    /// What a name alone stands for, if for anything.
    pub(super) fn unqualified(
        &self,
        name: &Ident,
        fields: &[Field],
        span: Span,
    ) -> Result<Option<Expr>, SqlError> {
        self.find(&name.text, fields, span)
    }

    /// Whether there is a table of this name.
    pub(super) fn has_table(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.qualifier.as_deref() == Some(name))
    }

    fn part(&self, qualifier: &Ident) -> Result<&Part, SqlError> {
        let named = |part: &&Part| part.qualifier.as_deref() == Some(qualifier.text.as_str());
        self.parts.iter().rev().find(named).ok_or_else(|| {
            let known: Vec<&str> =
                self.parts.iter().filter_map(|p| p.qualifier.as_deref()).collect();
            let message = format!(
                "table \"{}\" is not in FROM; FROM has {}",
                qualifier.text,
                known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            );
            SqlError::of_a_name(qualifier.span, message)
        })
    }

    /// `*`, or `table.*`.
    pub(super) fn star(
        &self,
        qualifier: Option<&Ident>,
        fields: &[Field],
        span: Span,
    ) -> Result<Vec<(Expr, String)>, SqlError> {
        let column = |column: usize| {
            (Expr::column(column, fields[column].ty, span), fields[column].name.clone())
        };
        if let Some(qualifier) = qualifier {
            return Ok(self.part(qualifier)?.columns.clone().map(column).collect());
        }
        let merged = self.merged.iter();
        let merged = merged.map(|(name, expr)| (Expr { span, ..expr.clone() }, name.clone()));
        let others = (0..fields.len()).filter(|column| !self.hidden.contains(column));
        Ok(merged.chain(others.map(column)).collect())
    }
}

impl Binder<'_> {
    /// What a join in FROM gives.
    pub(super) fn join(&mut self, clause: &JoinClause, ctes: &Ctes<'_>) -> Result<From, Reported> {
        let left = self.from(&clause.left, ctes);
        if matches!(clause.right.kind, RelationKind::Unnest(_) | RelationKind::Lateral(_)) {
            return self.beside(left?, clause, ctes);
        }
        let (table, as_of) = temporal::table_of(&clause.right);
        let right = self.from(&table, ctes);
        let (left, right) = (left?, right?);
        let width = left.rel.fields.len();
        let (of_left, of_right) = (Joined::of(&left), Joined::of(&right));
        self.told_apart(&of_left, &of_right, clause.right.span)?;
        // ON sees the rows themselves; only then is a side filled with NULL.
        let plain = join_fields(&left.rel, &right.rel, JoinKind::Inner);
        let common = match &clause.on {
            JoinOn::Using(names) => names.clone(),
            JoinOn::Natural => {
                let names = |of: &Joined, fields: &[Field]| -> Vec<String> {
                    let star = of.star(None, fields, clause.span).unwrap_or_default();
                    star.into_iter().map(|(_, name)| name).collect()
                };
                let on_right = names(&of_right, &right.rel.fields);
                let common = names(&of_left, &left.rel.fields).into_iter();
                let common = common.filter(|name| on_right.contains(name));
                common.map(|text| Ident { text, span: clause.span }).collect()
            }
            JoinOn::Nothing | JoinOn::Condition(_) => Vec::new(),
        };
        let mut on = Vec::new();
        let mut merged = Vec::new();
        for name in &common {
            let a = self.common(&of_left, name, &left.rel.fields, &left.place)?;
            let b = self.common(&of_right, name, &right.rel.fields, &right.place)?;
            let b = b.renumber(&|column| column + width);
            let equal = super::expr::compare_op(a.clone(), ast::BinaryOp::Eq, b.clone(), name.span);
            on.push(self.keep(equal)?);
            merged.push((name.text.clone(), a, b));
        }
        let as_of = match as_of {
            Some(as_of) => Some(self.as_of(clause, as_of, &of_left, [&left, &right])?),
            None => None,
        };
        let mut joined = of_left.and(of_right, width);
        if let JoinOn::Condition(expr) = &clause.on {
            let scope = Scope {
                fields: &plain,
                qualifier: None,
                place: "FROM",
                aliases: &[],
                joined: Some(&joined),
            };
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: None,
                no_aggregates: "has no place in ON",
                over: None,
                matching: None,
            };
            let bound = condition(&mut binder, expr, "ON");
            conjuncts(self.keep(bound)?, &mut on);
        }
        self.refuse_chance(&on)?;
        let rel = match as_of {
            Some(as_of) => self.temporal(clause, as_of, [&left, &right], on)?,
            None => {
                let rel = join(&left.rel, &right.rel, clause.kind, on, clause.span);
                lasting(rel, self.ttl_of_sides([&clause.left, &clause.right]))
            }
        };
        let fields = join_fields(&left.rel, &right.rel, clause.kind);
        for (name, a, b) in merged {
            for side in [&a, &b] {
                joined.hidden.extend(side.as_column());
            }
            joined.merged.retain(|(other, _)| *other != name);
            let nulled = |expr: &Expr| match expr.as_column() {
                Some(column) => Expr::column(column, fields[column].ty, expr.span),
                None => Expr { ty: SqlType::nullable(expr.kind()), ..expr.clone() },
            };
            let expr = match clause.kind {
                JoinKind::Right => nulled(&b),
                JoinKind::Full => self.either(nulled(&a), nulled(&b), clause.span)?,
                _ => nulled(&a),
            };
            joined.merged.push((name, expr));
        }
        Ok(From { rel, qualifier: None, place: "FROM".to_owned(), joined: Some(joined) })
    }

    /// Refuses two tables of one name.
    pub(super) fn told_apart(
        &mut self,
        left: &Joined,
        right: &Joined,
        span: Span,
    ) -> Result<(), Reported> {
        for part in &right.parts {
            let same =
                |other: &&Part| part.qualifier.is_some() && other.qualifier == part.qualifier;
            if let Some(twice) = left.parts.iter().find(same) {
                let name = twice.qualifier.clone().unwrap_or_default();
                let message = format!(
                    "\"{name}\" is in FROM twice, so that its columns cannot be told apart; give one of them another name with AS"
                );
                return self.fail(span, message);
            }
        }
        Ok(())
    }

    /// Refuses conditions that may hold now and then.
    pub(super) fn refuse_chance(&mut self, on: &[Expr]) -> Result<(), Reported> {
        match on.iter().find_map(|on| Some((on.span, on.nondeterministic()?))) {
            Some((span, reason)) => self.fail(span, format!("what joins rows has to give the same answer whenever it is asked, but this {reason}; compute the value in a query of its own, and compare with that")),
            None => Ok(()),
        }
    }

    /// A column that USING names, on one side.
    fn common(
        &mut self,
        of: &Joined,
        name: &Ident,
        fields: &[Field],
        place: &str,
    ) -> Result<Expr, Reported> {
        let found = of.find(&name.text, fields, name.span);
        match self.keep(found)? {
            Some(expr) => Ok(expr),
            None => {
                let hint = did_you_mean(&name.text, fields.iter().map(|f| f.name.as_str()), '"');
                let message = format!(
                    "column \"{}\" of USING not found in {place}{hint}; both sides have to have it",
                    name.text
                );
                Err(self.report(SqlError::of_a_name(name.span, message)))
            }
        }
    }

    /// The one of two values that is there.
    fn either(&mut self, a: Expr, b: Expr, span: Span) -> Result<Expr, Reported> {
        let is_there = call(
            "IS NOT NULL",
            vec![a.clone()],
            compare::null_test(true),
            SqlType::not_null(Kind::Boolean),
            Style::Postfix,
            span,
        );
        let is_there = self.keep(is_there)?;
        let chosen = super::expr::choose(vec![is_there], vec![a, b], "the sides of USING", span);
        self.keep(chosen)
    }
}
