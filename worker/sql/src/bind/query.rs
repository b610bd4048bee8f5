//! Queries → relations.

use std::sync::Arc;

use super::expr::{Scope, bind_plain, cast_to};
use super::join::Joined;
use super::{Binder, Reported};
use crate::ast::{self, Body, Ident, RelationKind};
use crate::catalog::{ColumnKind, Relation};
use crate::error::Span;
use crate::expr::{Expr, render};
use crate::rel::{Field, Rel, RelKind, Role, calc, identity, role_of};
use crate::types::{Kind, SqlType};

/// Names of WITH, innermost last; they hide tables.
pub(crate) type Ctes<'a> = [(&'a str, Option<Arc<Rel>>)];

/// What FROM gives.
pub(crate) struct From {
    pub(crate) rel: Arc<Rel>,
    pub(crate) qualifier: Option<String>,
    pub(crate) place: String,
    /// Set where it has several tables.
    pub(crate) joined: Option<Joined>,
}

impl From {
    /// One row of no columns.
    pub(super) fn nothing() -> Self {
        let kind = RelKind::Values { rows: vec![Vec::new()] };
        let rel = Arc::new(Rel { kind, fields: Vec::new() });
        Self { rel, qualifier: None, place: "nothing".to_owned(), joined: None }
    }
}

impl Binder<'_> {
    pub(crate) fn query(
        &mut self,
        query: &ast::Query,
        outer: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let mut ctes = outer.to_vec();
        for cte in &query.ctes {
            let before = self.size.so_far();
            let rel = self
                .query(&cte.query, &ctes)
                .and_then(|rel| self.rename(rel, &cte.columns, cte.name.span));
            rel.iter().for_each(|rel| self.size.name(rel, before));
            ctes.push((&cte.name.text, rel.ok()));
        }
        if query.tail.is_empty() {
            return self.body(&query.body, query.span, &ctes);
        }
        self.ordered(query, &ctes)
    }

    pub(super) fn body(
        &mut self,
        body: &Body,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        self.one_more(span)?;
        match body {
            Body::Nested(inner) => self.query(inner, ctes),
            Body::Select(select) => self.select(select, ctes),
            Body::Values { rows, span } => self.values(rows, *span),
            Body::Union(branches) => self.union(branches, ctes),
            Body::Set { op, all, left, right, span } => {
                let rel = self.set_operation(*op, *all, [left, right], *span, ctes)?;
                Ok(self.final_rows(&rel))
            }
        }
    }

    /// Gives columns other names.
    pub(crate) fn rename(
        &mut self,
        rel: Arc<Rel>,
        names: &[Ident],
        span: Span,
    ) -> Result<Arc<Rel>, Reported> {
        if names.is_empty() {
            return Ok(rel);
        }
        if names.len() != rel.fields.len() {
            return self
                .fail(span, format!("{} names for {} columns", names.len(), rel.fields.len()));
        }
        let fields = rel
            .fields
            .iter()
            .zip(names)
            .map(|(field, name)| Field { name: name.text.clone(), ..field.clone() })
            .collect();
        let exprs = identity(&rel);
        Ok(calc(&rel, None, exprs, fields))
    }

    fn values(&mut self, rows: &[Vec<ast::Expr>], span: Span) -> Result<Arc<Rel>, Reported> {
        let scope =
            Scope { fields: &[], qualifier: None, place: "VALUES", aliases: &[], joined: None };
        let mut bound = Vec::new();
        for row in rows {
            if row.len() != rows[0].len() {
                return self.fail(
                    row.first().map_or(span, |e| e.span),
                    format!("this row has {} values, the first has {}", row.len(), rows[0].len()),
                );
            }
            let mut values = Vec::new();
            for expr in row {
                let value = bind_plain(expr, &scope, "has no place in VALUES");
                values.push(self.keep(value)?);
            }
            bound.push(values);
        }
        let mut fields = Vec::new();
        for column in 0..rows[0].len() {
            let mut kind = Kind::Null;
            for row in &bound {
                let value = &row[column];
                kind = match kind.common(value.kind()) {
                    Some(kind) => kind,
                    None => return self.fail(value.span, format!("this value is {}, but others of its column are {kind}; CAST one of them", value.kind())),
                };
            }
            if kind == Kind::Null {
                kind = Kind::STRING;
            }
            for row in &mut bound {
                let at = row[column].span;
                row[column] = self.keep(cast_to(row[column].clone(), kind, at))?;
            }
            let nullable = bound.iter().any(|row| row[column].ty.nullable);
            fields.push(Field {
                name: format!("EXPR${column}"),
                ty: SqlType { kind, nullable },
                role: Role::Plain,
            });
        }
        Ok(Arc::new(Rel { kind: RelKind::Values { rows: bound }, fields }))
    }

    pub(crate) fn from(
        &mut self,
        relation: &ast::Relation,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let (rel, name, place) = match &relation.kind {
            RelationKind::Table(name, options) => {
                let rel = match ctes.iter().rev().find(|(cte, _)| *cte == name.text) {
                    Some((_, Some(rel))) => rel.clone(),
                    Some((_, None)) => return Err(Reported),
                    None => match self.lookup(name)? {
                        Relation::View(rel) => rel,
                        Relation::Table(table) => {
                            let table = self.with_options(&table, options)?;
                            self.refuse_plain_times(&table, false, relation.span)?;
                            self.final_rows(&scan(&table))
                        }
                        Relation::Broken => return Err(Reported),
                    },
                };
                self.read_by_name(&rel, relation.span)?;
                if let (Some(first), false) =
                    (options.first(), matches!(rel.kind, RelKind::Scan(_)))
                {
                    let message = format!(
                        "\"{}\" is a query's name, and only tables have options; write the hint behind the table's name in that query",
                        name.shown()
                    );
                    return self.fail(first.key_span, message);
                }
                let what = if matches!(rel.kind, RelKind::Scan(_)) { "table" } else { "view" };
                (rel, Some(name.alone().to_owned()), format!("{what} \"{}\"", name.shown()))
            }
            RelationKind::Subquery(query) => {
                (self.query(query, ctes)?, None, "the query in FROM".to_owned())
            }
            RelationKind::Window(call) => {
                let from = self.window(call, ctes)?;
                if from.joined.is_some() {
                    return Ok(From { rel: self.final_rows(&from.rel), ..from });
                }
                (from.rel, None, from.place)
            }
            RelationKind::Join(clause) => return self.join(clause, ctes),
            RelationKind::AsOf(as_of) => {
                let message = "FOR SYSTEM_TIME AS OF has its place in a join, behind the table on the right: FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k";
                return self.fail(as_of.span, message);
            }
            RelationKind::Unnest(call) => return self.unnest_alone(relation, call),
            RelationKind::Lateral(query) => {
                (self.query(query, ctes)?, None, "the query in FROM".to_owned())
            }
            RelationKind::Function(call) => return self.table_function(call),
            RelationKind::State(call) => {
                let (rel, place) = self.state(call)?;
                (rel, None, place)
            }
            RelationKind::Match(clause) => {
                let rel = self.match_recognize(clause, ctes)?;
                (rel, None, "what MATCH_RECOGNIZE gives".to_owned())
            }
        };
        let rel = self.rename(self.final_rows(&rel), &relation.columns, relation.span)?;
        let qualifier = relation.alias.as_ref().map(|a| a.text.clone()).or(name);
        Ok(From { rel, qualifier, place, joined: None })
    }
}

/// All columns of a table.
pub(crate) fn scan(table: &Arc<crate::catalog::TableDef>) -> Arc<Rel> {
    let rowtime = table.watermark.as_ref().map(|w| w.column);
    let fields = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field {
            name: column.name.clone(),
            ty: column.ty,
            role: match &column.kind {
                _ if rowtime == Some(i) => Role::Rowtime,
                ColumnKind::Computed(expr) => role_of(expr, &[]),
                ColumnKind::Physical | ColumnKind::Metadata { .. } => Role::Plain,
            },
        })
        .collect();
    Arc::new(Rel { kind: RelKind::Scan(table.clone()), fields })
}

/// Longest name of a column that an expression makes.
const LONGEST_NAME: usize = 40;

/// A short name for a column that an expression makes.
pub(crate) fn short_name(expr: &Expr, fields: &[Field]) -> String {
    whole_name(expr, fields)
        .unwrap_or_else(|text| text.chars().take(LONGEST_NAME - 1).chain(['…']).collect())
}

/// The name, when it did not have to be cut.
pub(crate) fn whole_name(expr: &Expr, fields: &[Field]) -> Result<String, String> {
    let text = render::sql(expr, &crate::rel::names(fields));
    if text.chars().count() <= LONGEST_NAME { Ok(text) } else { Err(text) }
}
