//! Queries → relations.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use weir_engine::operators::window::spec::Window;

use super::expr::{ExprBinder, Scope, bind_plain, cast_to, condition};
use super::{Binder, Reported};
use crate::ast::{self, Body, Ident, RelationKind, SelectItem};
use crate::catalog::Relation;
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Expr, render};
use crate::rel::{Field, Rel, RelKind, Role, WindowId, calc, identity};
use crate::types::{Kind, SqlType};

/// Names of WITH, innermost last; they hide tables.
pub(crate) type Ctes<'a> = [(&'a str, Option<Arc<Rel>>)];

/// What FROM gives.
pub(crate) struct From {
    pub(crate) rel: Arc<Rel>,
    pub(crate) qualifier: Option<String>,
    pub(crate) place: String,
}

impl Binder<'_> {
    pub(crate) fn query(
        &mut self,
        query: &ast::Query,
        outer: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let mut ctes = outer.to_vec();
        for cte in &query.ctes {
            let rel = self
                .query(&cte.query, &ctes)
                .and_then(|rel| self.rename(rel, &cte.columns, cte.name.span));
            ctes.push((&cte.name.text, rel.ok()));
        }
        match &query.body {
            Body::Nested(inner) => self.query(inner, &ctes),
            Body::Select(select) => self.select(select, &ctes),
            Body::Values { rows, span } => self.values(rows, *span),
            Body::Union(branches) => self.union(branches, &ctes),
            Body::Set { op, left, right, span } => {
                self.set_operation(*op, [left, right], *span, &ctes)
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
        let scope = Scope { fields: &[], qualifier: None, place: "VALUES", aliases: &[] };
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
                        Relation::Table(table) => scan(&self.with_options(&table, options)?),
                        Relation::Broken => return Err(Reported),
                    },
                };
                if let (Some(first), false) =
                    (options.first(), matches!(rel.kind, RelKind::Scan(_)))
                {
                    let message = format!(
                        "\"{}\" is a query's name, and only tables have options; write the hint behind the table's name in that query",
                        name.text
                    );
                    return self.fail(first.key_span, message);
                }
                let what = if matches!(rel.kind, RelKind::Scan(_)) { "table" } else { "view" };
                (rel, Some(name.text.clone()), format!("{what} \"{}\"", name.text))
            }
            RelationKind::Subquery(query) => {
                (self.query(query, ctes)?, None, "the query in FROM".to_owned())
            }
            RelationKind::Window(call) => {
                let (rel, place) = self.window(call, ctes)?;
                (rel, None, place)
            }
        };
        let rel = self.rename(rel, &relation.columns, relation.span)?;
        let qualifier = relation.alias.as_ref().map(|a| a.text.clone()).or(name);
        Ok(From { rel, qualifier, place })
    }

    fn window(
        &mut self,
        call: &ast::WindowCall,
        ctes: &Ctes<'_>,
    ) -> Result<(Arc<Rel>, String), Reported> {
        let from = self.from(&call.data, ctes);
        let size = self.window_interval(&call.size, call, "SIZE");
        let slide = match &call.slide {
            Some(slide) => self.window_interval(slide, call, "SLIDE").map(Some),
            None => Ok(None),
        };
        let offset = match &call.offset {
            Some(offset) => self.window_interval(offset, call, "OFFSET"),
            None => Ok(0),
        };
        let (from, size, slide, offset) = (from?, size?, slide?, offset?);
        let name = call.function.text.to_ascii_uppercase();
        if size <= 0 {
            return self
                .fail(call.size.span, format!("the size of {name} must be longer than nothing"));
        }
        let window = match slide {
            None => Window::Tumble { size, offset },
            Some(slide) if slide <= 0 => {
                return self.fail(
                    call.size.span,
                    format!("the slide of {name} must be longer than nothing"),
                );
            }
            Some(slide) if size % slide != 0 => {
                let hint = if slide % size == 0 {
                    "; the slide comes before the size: HOP(TABLE t, DESCRIPTOR(ts), slide, size)"
                } else {
                    ""
                };
                return self.fail(
                    call.size.span,
                    format!("the size of HOP must be a multiple of its slide{hint}"),
                );
            }
            Some(slide) => Window::Hop { size, slide, offset },
        };
        let fields = &from.rel.fields;
        let Some(time) = fields.iter().position(|f| f.name == call.time.text) else {
            let hint = did_you_mean(&call.time.text, fields.iter().map(|f| f.name.as_str()), '"');
            return self.fail(
                call.time.span,
                format!("column \"{}\" not found in {}{hint}", call.time.text, from.place),
            );
        };
        if !fields[time].role.is_rowtime() {
            let message = match fields.iter().find(|f| f.role.is_rowtime()) {
                Some(other) => format!(
                    "\"{}\" is no event time of {}; its event time is \"{}\"",
                    call.time.text, from.place, other.name
                ),
                None => match &from.rel.kind {
                    RelKind::Scan(_) => format!(
                        "\"{}\" is no event time: {} has no WATERMARK; declare WATERMARK FOR `{}` AS `{}` - INTERVAL '5' SECOND",
                        call.time.text, from.place, call.time.text, call.time.text
                    ),
                    _ => format!(
                        "\"{}\" is no event time: {} does not pass one on; select the event-time column (or window_time) unchanged",
                        call.time.text, from.place
                    ),
                },
            };
            return self.fail(call.time.span, message);
        }
        if let Some(clash) = fields
            .iter()
            .find(|f| ["window_start", "window_end", "window_time"].contains(&f.name.as_str()))
        {
            // Flink numbers the new columns (window_start0); a name of one's own is clearer.
            return self.fail(call.data.span, format!("{} has a column \"{}\" already, which {name} adds; give it another name with AS", from.place, clash.name));
        }
        self.windows += 1;
        let id = WindowId { number: self.windows, window };
        let time_kind = match fields[time].ty.kind {
            Kind::TimestampLtz(_) => Kind::TimestampLtz(3),
            _ => Kind::Timestamp(3),
        };
        let mut fields = fields.clone();
        for field in &mut fields {
            // A window's columns are the only event time that may follow.
            if !matches!(field.role, Role::Plain) {
                field.role = Role::Plain;
            }
        }
        let bound = |name: &str, role: Role, kind: Kind| Field {
            name: name.to_owned(),
            ty: SqlType::not_null(kind),
            role,
        };
        fields.push(bound("window_start", Role::WindowStart(id.clone()), Kind::Timestamp(3)));
        fields.push(bound("window_end", Role::WindowEnd(id.clone()), Kind::Timestamp(3)));
        fields.push(bound("window_time", Role::WindowTime(id.clone()), time_kind));
        let span = call.function.span;
        let kind = RelKind::Window { input: from.rel.clone(), time, id, span };
        Ok((Arc::new(Rel { kind, fields }), from.place))
    }

    /// A fixed length of time in milliseconds.
    fn window_interval(
        &mut self,
        expr: &ast::Expr,
        call: &ast::WindowCall,
        what: &str,
    ) -> Result<i64, Reported> {
        let scope =
            Scope { fields: &[], qualifier: None, place: "a window's arguments", aliases: &[] };
        let bound = bind_plain(expr, &scope, "has no place in a window's arguments");
        let bound = self.keep(bound)?;
        let name = call.function.text.to_ascii_uppercase();
        match (bound.kind(), bound.as_literal()) {
            (Kind::IntervalMillis, Some(value)) if value.is_valid(0) => Ok(value.as_primitive::<Int64Type>().value(0)),
            (Kind::IntervalMonths, _) => self.fail(expr.span, format!("the {what} of {name} has a fixed length; months and years have not: use DAY and shorter units")),
            _ => self.fail(expr.span, format!("the {what} of {name} is an interval, such as INTERVAL '1' HOUR")),
        }
    }

    fn select(&mut self, select: &ast::Select, ctes: &Ctes<'_>) -> Result<Arc<Rel>, Reported> {
        let from = match &select.from {
            Some(relation) => self.from(relation, ctes)?,
            None => From {
                rel: Arc::new(Rel {
                    kind: RelKind::Values { rows: vec![Vec::new()] },
                    fields: Vec::new(),
                }),
                qualifier: None,
                place: "nothing".to_owned(),
            },
        };
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
        };
        let before = self.errors.len();
        let filter = select.filter.as_ref().and_then(|filter| {
            let mut binder = ExprBinder {
                scope: &scope,
                aggregates: None,
                no_aggregates: "has no place in WHERE; use HAVING",
            };
            let bound = condition(&mut binder, filter, "WHERE");
            self.keep(bound).ok()
        });
        let mut aggregates = Vec::new();
        let mut items: Vec<(Expr, String)> = Vec::new();
        for item in &select.items {
            match item {
                SelectItem::Star { qualifier, span } => {
                    if let Some(qualifier) = qualifier
                        && scope.qualifier != Some(qualifier.text.as_str())
                    {
                        self.report(SqlError::new(
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
                    };
                    let bound = binder.bind(expr);
                    if let Ok(bound) = self.keep(bound) {
                        let name = match (alias, &expr.kind) {
                            (Some(alias), _) => alias.text.clone(),
                            (None, ast::ExprKind::Column(parts)) => {
                                parts.last().map(|p| p.text.clone()).unwrap_or_default()
                            }
                            _ => format!("EXPR${}", items.len()),
                        };
                        items.push((bound, name));
                    }
                }
            }
        }
        let having = select.having.as_ref().and_then(|having| {
            let mut binder =
                ExprBinder { scope: &scope, aggregates: Some(&mut aggregates), no_aggregates: "" };
            let bound = condition(&mut binder, having, "HAVING");
            self.keep(bound).ok().map(|bound| (bound, having.span))
        });
        let mut keys = Vec::new();
        for key in select.group_by.iter().flat_map(|g| &g.keys) {
            if matches!(key.kind, ast::ExprKind::Number(_)) {
                self.report(SqlError::new(
                    key.span,
                    "GROUP BY takes columns and expressions, not positions",
                ));
                continue;
            }
            let bound = bind_plain(key, &scope, "has no place in GROUP BY");
            if let Ok(bound) = self.keep(bound) {
                keys.push(bound);
            }
        }
        if self.errors.len() > before {
            return Err(Reported);
        }
        let grouped = select.group_by.is_some() || !aggregates.is_empty() || having.is_some();
        if grouped {
            let rel = self.aggregate(select, &from, filter, keys, aggregates, items, having)?;
            return match select.distinct {
                Some(_) => self.distinct(select, rel),
                None => Ok(rel),
            };
        }
        if select.distinct.is_some() {
            let keys = items.iter().map(|(expr, _)| expr.clone()).collect();
            return self.aggregate(select, &from, filter, keys, Vec::new(), items, None);
        }
        let fields = items
            .iter()
            .map(|(expr, name)| Field {
                name: name.clone(),
                ty: expr.ty,
                role: expr.as_column().map_or(Role::Plain, |i| from.rel.fields[i].role.clone()),
            })
            .collect();
        Ok(calc(&from.rel, filter, items.into_iter().map(|(expr, _)| expr).collect(), fields))
    }
}

impl Binder<'_> {
    /// Each of the rows of a query once.
    fn distinct(&mut self, select: &ast::Select, rel: Arc<Rel>) -> Result<Arc<Rel>, Reported> {
        let keys = identity(&rel);
        let items = keys.iter().cloned().zip(rel.fields.iter().map(|f| f.name.clone())).collect();
        let from = From { rel, qualifier: None, place: "the query".to_owned() };
        self.aggregate(select, &from, None, keys, Vec::new(), items, None)
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
            role: if rowtime == Some(i) { Role::Rowtime } else { Role::Plain },
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
