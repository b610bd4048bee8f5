//! Statements → logical plans: names and types are resolved here, and everything that the
//! dialect allows but the engine does not is refused with its place.

pub(crate) mod aggregate;
pub(crate) mod base;
mod below;
pub(crate) mod expr;
mod grouping;
pub(crate) mod interval;
pub(crate) mod join;
mod legacy;
pub(crate) mod over;
pub(crate) mod pattern;
pub(crate) mod query;
pub(crate) mod rank;
mod select;
mod sets;
mod shown;
pub(crate) mod subquery;
pub(crate) mod table;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use weir_connectors::options::parse_duration;

use crate::PlanOptions;
use crate::ast::{Ident, Insert, Statement};
use crate::catalog::{Relation, TableDef, implicit};
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::expr::{Expr, Style, cast};
use crate::narrow::narrow;
use crate::rel::{Field, Rel, Role, calc};
use crate::types::SqlType;

/// An error was reported; nothing more is to be said about what depends on it.
pub(crate) struct Reported;

/// Rows for a table.
pub(crate) struct BoundInsert {
    pub(crate) table: Arc<TableDef>,
    /// Columns as the table's sink takes them.
    pub(crate) rel: Arc<Rel>,
    /// The table's name in the statement.
    pub(crate) span: Span,
}

/// A program with every name resolved.
pub(crate) struct BoundProgram {
    pub(crate) inserts: Vec<BoundInsert>,
    pub(crate) tables: Vec<Arc<TableDef>>,
    /// `table.exec.state.ttl`.
    pub(crate) state_ttl: Option<Duration>,
}

/// Binds a program; collects errors instead of stopping at the first.
pub(crate) struct Binder<'a> {
    pub(crate) options: &'a PlanOptions,
    pub(crate) relations: HashMap<String, Relation>,
    /// Where each name was declared.
    pub(crate) declared: HashMap<String, Span>,
    pub(crate) errors: Vec<SqlError>,
    pub(crate) warnings: Vec<Warning>,
    /// Window functions seen so far.
    pub(crate) windows: usize,
    /// Tables with options of their own, each once.
    pub(crate) hinted: Vec<Arc<TableDef>>,
    pub(crate) state_ttl: Option<Duration>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(options: &'a PlanOptions) -> Self {
        Self {
            options,
            relations: HashMap::new(),
            declared: HashMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            windows: 0,
            hinted: Vec::new(),
            state_ttl: None,
        }
    }

    pub(crate) fn report(&mut self, error: SqlError) -> Reported {
        self.errors.push(error);
        Reported
    }

    pub(crate) fn fail<T>(
        &mut self,
        span: Span,
        message: impl Into<String>,
    ) -> Result<T, Reported> {
        Err(self.report(SqlError::new(span, message)))
    }

    /// Keeps the value or reports the error.
    pub(crate) fn keep<T>(&mut self, result: Result<T, SqlError>) -> Result<T, Reported> {
        result.map_err(|error| self.report(error))
    }

    pub(crate) fn program(&mut self, statements: &[Statement]) -> BoundProgram {
        let mut program = BoundProgram { inserts: Vec::new(), tables: Vec::new(), state_ttl: None };
        let mut shown = 0;
        for statement in statements {
            match statement {
                Statement::Set { key, value, span } => self.set(key, value, *span),
                Statement::CreateTable(table) => {
                    if self.is_new(&table.name, table.if_not_exists) {
                        let relation = match self.create_table(table) {
                            Ok(table) => {
                                let table = Arc::new(table);
                                program.tables.push(table.clone());
                                Relation::Table(table)
                            }
                            Err(Reported) => Relation::Broken,
                        };
                        self.declare(&table.name, relation);
                    }
                }
                Statement::CreateView(view) => {
                    if self.is_new(&view.name, view.if_not_exists) {
                        let relation = match self.query(&view.query, &[]) {
                            Ok(rel) => match self.rename(rel, &view.columns, view.name.span) {
                                Ok(rel) => Relation::View(rel),
                                Err(Reported) => Relation::Broken,
                            },
                            Err(Reported) => Relation::Broken,
                        };
                        self.declare(&view.name, relation);
                    }
                }
                Statement::Insert(insert) => {
                    if let Ok(bound) = self.insert(insert) {
                        program.inserts.push(bound);
                    }
                }
                Statement::Query(query) => {
                    shown += 1;
                    if let Ok(bound) = self.shown(query, shown) {
                        program.inserts.push(bound);
                    }
                }
            }
        }
        program.tables.append(&mut self.hinted);
        program.state_ttl = self.state_ttl;
        program
    }

    fn is_new(&mut self, name: &Ident, if_not_exists: bool) -> bool {
        let Some(first) = self.declared.get(&name.text).copied() else {
            return true;
        };
        if !if_not_exists {
            self.report(SqlError::new(
                name.span,
                format!(
                    "\"{}\" is declared twice, first at {}:{}",
                    name.text, first.line, first.column
                ),
            ));
        }
        false
    }

    fn declare(&mut self, name: &Ident, relation: Relation) {
        self.declared.insert(name.text.clone(), name.span);
        self.relations.insert(name.text.clone(), relation);
    }

    fn set(&mut self, key: &str, value: &str, span: Span) {
        match key {
            "table.local-time-zone" => {
                if !["UTC", "GMT", "Etc/UTC", "+00:00"].contains(&value) {
                    self.report(SqlError::new(
                        span,
                        format!(
                            "'table.local-time-zone' = '{value}' is not supported; times are in UTC"
                        ),
                    ));
                }
            }
            "table.exec.state.ttl" => match parse_duration(value) {
                Some(ttl) => self.state_ttl = Some(ttl).filter(|ttl| !ttl.is_zero()),
                None => {
                    self.report(SqlError::new(span, format!("'table.exec.state.ttl' = '{value}' is no length of time; write it as '12 h' or '30 min', 0 for ever")));
                }
            },
            "execution.runtime-mode" => {
                if !value.eq_ignore_ascii_case("streaming") {
                    self.report(SqlError::new(span, format!("'execution.runtime-mode' = '{value}' is not supported: bounded jobs run as streams that end; use 'streaming' or leave it out")));
                }
            }
            _ => {
                let place = match key {
                    "parallelism.default" => "; it is spec.parallelism of the manifest",
                    "pipeline.max-parallelism" => "; it is spec.maxParallelism of the manifest",
                    "pipeline.name" => "; it is metadata.name of the manifest",
                    key if key.starts_with("execution.checkpointing")
                        || key.starts_with("state.") =>
                    {
                        "; checkpoints are set under spec.state of the manifest"
                    }
                    key if key.starts_with("sql-client.") => "; it belongs to Flink's SQL client",
                    _ => {
                        "; known are 'table.exec.state.ttl', 'table.local-time-zone' and 'execution.runtime-mode'"
                    }
                };
                self.report(SqlError::new(span, format!("the option '{key}' is unknown{place}")));
            }
        }
    }

    pub(crate) fn lookup(&mut self, name: &Ident) -> Result<Relation, Reported> {
        match self.relations.get(&name.text) {
            Some(Relation::Broken) => Err(Reported),
            Some(relation) => Ok(relation.clone()),
            None => {
                let known = self
                    .relations
                    .keys()
                    .map(String::as_str)
                    .collect::<std::collections::BTreeSet<_>>();
                let hint = did_you_mean(&name.text, known.iter().copied(), '"');
                let hint = if hint.is_empty() && known.is_empty() {
                    "; declare it with CREATE TABLE before it is used".to_owned()
                } else if hint.is_empty() {
                    format!(
                        "; the program declares {}",
                        known
                            .into_iter()
                            .map(|n| format!("\"{n}\""))
                            .collect::<Vec<_>>()
                            .join(", ")
                    )
                } else {
                    hint
                };
                let message = format!("table \"{}\" not found{hint}", name.text);
                self.fail(name.span, message)
            }
        }
    }

    fn insert(&mut self, insert: &Insert) -> Result<BoundInsert, Reported> {
        let target = match self.lookup(&insert.table) {
            Ok(Relation::Table(table)) => self.with_options(&table, &insert.options),
            Ok(_) => self.fail(
                insert.table.span,
                format!(
                    "\"{}\" is a view; rows can only be inserted into a table",
                    insert.table.text
                ),
            ),
            Err(Reported) => Err(Reported),
        };
        let rel = self.query(&insert.query, &[]);
        let (table, rel) = (target?, rel?);
        let columns = self.insert_columns(insert, &table)?;
        if columns.len() != rel.fields.len() {
            let given: Vec<String> =
                rel.fields.iter().map(|f| format!("{} {}", f.name, f.ty.kind)).collect();
            let wanted: Vec<String> = columns
                .iter()
                .map(|&c| format!("{} {}", table.columns[c].name, table.columns[c].ty.kind))
                .collect();
            return self.fail(
                insert.query.span,
                format!(
                    "table \"{}\" takes {}, the query gives {}: [{}] against [{}]",
                    table.name,
                    columns_of(columns.len()),
                    rel.fields.len(),
                    wanted.join(", "),
                    given.join(", ")
                ),
            );
        }
        let mut exprs = Vec::new();
        let mut fields = Vec::new();
        let mut failed = false;
        for target in table.sink_columns() {
            let column = &table.columns[target];
            let span = insert.query.span;
            let expr = match columns.iter().position(|&c| c == target) {
                None => Expr::null(column.ty.kind, span),
                Some(position) => {
                    let from = &rel.fields[position];
                    let expr = Expr::column(position, from.ty, Span::default());
                    if !implicit(from.ty.kind, column.ty.kind) {
                        failed = true;
                        self.report(SqlError::new(
                            item_span(&insert.query, position).unwrap_or(span),
                            format!(
                                "column {} of the query, \"{}\", is {}, but column \"{}\" of table \"{}\" is {}; write CAST(… AS {})",
                                position + 1, from.name, from.ty.kind, column.name, table.name, column.ty.kind, column.ty.kind
                            ),
                        ));
                        continue;
                    }
                    match cast::cast(
                        expr,
                        SqlType { kind: column.ty.kind, nullable: true },
                        Style::Hidden,
                        false,
                        span,
                    ) {
                        Ok(expr) => expr,
                        Err(message) => {
                            failed = true;
                            self.report(SqlError::new(span, message));
                            continue;
                        }
                    }
                }
            };
            if expr.as_literal().is_some_and(|v| arrow::array::Array::is_null(v, 0))
                && !column.ty.nullable
            {
                failed = true;
                self.report(SqlError::new(
                    span,
                    format!(
                        "column \"{}\" of table \"{}\" is NOT NULL, but gets no value",
                        column.name, table.name
                    ),
                ));
                continue;
            }
            let ty = SqlType { kind: column.ty.kind, nullable: expr.ty.nullable };
            fields.push(Field { name: column.name.clone(), ty, role: Role::Plain });
            exprs.push(expr);
        }
        if failed {
            return Err(Reported);
        }
        let rel = narrow(&calc(&rel, None, exprs, fields));
        Ok(BoundInsert { table, rel, span: insert.table.span })
    }

    /// The table's columns that the query's columns go to, in the query's order.
    fn insert_columns(
        &mut self,
        insert: &Insert,
        table: &TableDef,
    ) -> Result<Vec<usize>, Reported> {
        let all = table.sink_columns();
        if insert.columns.is_empty() {
            return Ok(all);
        }
        let mut columns = Vec::new();
        for name in &insert.columns {
            let found = all.iter().copied().find(|&c| table.columns[c].name == name.text);
            let Some(found) = found else {
                let hint = did_you_mean(
                    &name.text,
                    all.iter().map(|&c| table.columns[c].name.as_str()),
                    '"',
                );
                return self.fail(
                    name.span,
                    format!("column \"{}\" not found in table \"{}\"{hint}", name.text, table.name),
                );
            };
            if columns.contains(&found) {
                return self.fail(name.span, format!("column \"{}\" is listed twice", name.text));
            }
            columns.push(found);
        }
        Ok(columns)
    }
}

fn columns_of(n: usize) -> String {
    if n == 1 { "1 column".to_owned() } else { format!("{n} columns") }
}

/// Where the query's column stands, when it is a plain SELECT without `*` before it.
fn item_span(query: &crate::ast::Query, position: usize) -> Option<Span> {
    use crate::ast::{Body, SelectItem};
    match &query.body {
        Body::Select(select) => {
            let before = select.items.get(..=position)?;
            match before.last()? {
                SelectItem::Expr { expr, .. }
                    if before.iter().all(|i| matches!(i, SelectItem::Expr { .. })) =>
                {
                    Some(expr.span)
                }
                _ => None,
            }
        }
        Body::Nested(query) => item_span(query, position),
        Body::Union(branches) => item_span(branches.first()?, position),
        Body::Set { left, .. } => item_span(left, position),
        Body::Values { rows, .. } => rows.first()?.get(position).map(|e| e.span),
    }
}
