//! Statements → logical plans: names and types are resolved here, and everything that the
//! dialect allows but the engine does not is refused with its place.

mod above;
pub(crate) mod aggregate;
mod alter;
mod around;
mod asked;
pub(crate) mod base;
mod below;
mod catalogs;
mod databases;
mod declare;
mod emit;
pub(crate) mod expr;
mod finals;
mod grouping;
pub(crate) mod interval;
pub(crate) mod join;
mod lateral;
mod legacy;
mod lookup;
pub(crate) mod over;
pub(crate) mod pattern;
pub(crate) mod query;
pub(crate) mod rank;
mod select;
mod sets;
mod settings;
mod shown;
mod size;
mod state;
pub(crate) mod subquery;
pub(crate) mod table;
mod temporal;
mod ttl;
mod unnest;
pub(crate) mod watermarks;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use weir_connectors::registry;

use self::declare::Declared;
use self::expr::{Scope, bind_plain};
pub(crate) use self::settings::KNOWN as KNOWN_SETTINGS;
use crate::PlanOptions;
use crate::ast::{Insert, Statement};
use crate::catalog::{Relation, TableDef, implicit};
use crate::database;
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::expr::{Expr, Style, cast};
use crate::narrow::narrow;
use crate::parse::DATABASE;
use crate::rel::{Field, Rel, Role, and, calc, identity};
use crate::types::{Kind, SqlType};
use crate::zone;

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
    /// Tables that late rows go to, by their whole names, as they were when rows were last read.
    pub(crate) late: BTreeMap<String, Arc<TableDef>>,
    /// `table.exec.state.ttl`.
    pub(crate) state_ttl: Option<Duration>,
    /// After which silence a source that says nothing of it itself holds up event time no more
    /// (`table.exec.source.idle-timeout`).
    pub(crate) source_idle: Option<Duration>,
    /// `execution.runtime-mode` is `batch`.
    pub(crate) batch: bool,
}

/// Binds a program; collects errors instead of stopping at the first.
pub(crate) struct Binder<'a> {
    pub(crate) options: &'a PlanOptions,
    /// What the program declares, by name.
    declared: HashMap<String, Declared>,
    /// What has the name of a temporary table or view that is declared.
    hidden: HashMap<String, Declared>,
    catalogs: BTreeMap<String, catalogs::Catalog>,
    /// By their paths, as in [`crate::database`].
    databases: BTreeSet<String>,
    /// Names that stood for something, and where that ended.
    dropped: HashMap<String, Span>,
    /// How often something was changed or dropped.
    changes: usize,
    /// Tables that statements may have read before they were changed or dropped.
    retired: Vec<Arc<TableDef>>,
    pub(crate) errors: Vec<SqlError>,
    pub(crate) warnings: Vec<Warning>,
    /// Window functions seen so far.
    pub(crate) windows: usize,
    /// Tables with options of their own, each once.
    pub(crate) hinted: Vec<Arc<TableDef>>,
    pub(crate) state_ttl: Option<Duration>,
    /// `table.exec.source.idle-timeout`.
    source_idle: Option<Duration>,
    /// Whether rows with NULL where a table takes none are left out:
    /// `table.exec.sink.not-null-enforcer` is `DROP`.
    drops_null: bool,
    /// Whether results are final: `execution.runtime-mode` is `batch`.
    pub(crate) batch: bool,
    /// `table.exec.emit`.
    emit: emit::Emit,
    /// Whether something was written by then.
    writes: bool,
    /// What the SELECT around says of tables that are asked.
    hints: Option<lookup::Hints>,
    /// What it says of how long state is kept.
    lasting: ttl::Lasting,
    size: size::Size,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(options: &'a PlanOptions) -> Self {
        database::set(DATABASE);
        Self {
            options,
            declared: HashMap::new(),
            hidden: HashMap::new(),
            catalogs: catalogs::at_first(),
            databases: BTreeSet::from([DATABASE.to_owned()]),
            dropped: HashMap::new(),
            changes: 0,
            retired: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            windows: 0,
            hinted: Vec::new(),
            state_ttl: None,
            source_idle: None,
            drops_null: false,
            batch: false,
            emit: emit::Emit::default(),
            writes: false,
            hints: None,
            lasting: ttl::Lasting::default(),
            size: size::Size::default(),
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
        let mut program = BoundProgram {
            inserts: Vec::new(),
            tables: Vec::new(),
            late: BTreeMap::new(),
            state_ttl: None,
            source_idle: None,
            batch: false,
        };
        let mut shown = 0;
        // Views in front of the setting are of the job's mode as well.
        self.batch = mode_of(statements);
        for statement in statements {
            self.size.next_statement();
            let declared_in_zone = zone::was_asked();
            match statement {
                Statement::Set { key, value, span } => self.set(key, value, *span),
                Statement::Reset { key } => self.reset(key.as_ref()),
                Statement::CreateTable(table) => self.create_table_statement(table, &mut program),
                Statement::CreateView(view) => self.create_view(view, &mut program),
                Statement::Drop { is_view, temporary, name, if_exists } => {
                    self.drop_statement((*is_view, *temporary), name, *if_exists, &mut program);
                }
                Statement::Use(name) => self.use_database(name),
                Statement::UseCatalog(name) => self.use_catalog(name),
                Statement::CreateCatalog(create) => self.create_catalog(create),
                Statement::DropCatalog { name, if_exists } => {
                    self.drop_catalog(name, *if_exists, &mut program);
                }
                Statement::CreateDatabase { name, if_not_exists } => {
                    self.create_database(name, *if_not_exists);
                }
                Statement::AlterDatabase(name) => self.alter_database(name),
                Statement::DropDatabase { name, if_exists, cascade } => {
                    self.drop_database(name, *if_exists, *cascade, &mut program);
                }
                Statement::Alter(alter) => self.alter_statement(alter, &mut program),
                Statement::Told(told) => self.told(told),
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
            if writes(statement) {
                // What runs has the zone that held when it was reached.
                zone::forget(declared_in_zone);
                program.source_idle = self.source_idle;
                self.writes = true;
                self.resolve_late(&mut program);
            }
        }
        self.refuse_overwritten_twice(&program.inserts);
        program.tables.append(&mut self.retired);
        program.tables.append(&mut self.hinted);
        program.state_ttl = self.state_ttl;
        program.batch = self.batch;
        program
    }

    fn insert(&mut self, insert: &Insert) -> Result<BoundInsert, Reported> {
        let target = match self.lookup(&insert.table) {
            Ok(Relation::Table(table)) => self.with_options(&table, &insert.options),
            Ok(_) => self.fail(
                insert.table.span,
                format!(
                    "\"{}\" is a view; rows can only be inserted into a table",
                    insert.table.shown()
                ),
            ),
            Err(Reported) => Err(Reported),
        };
        let rel = self.query(&insert.query, &[]);
        self.rows_for(insert, target?, &rel?)
    }

    /// What an INSERT writes, given the rows of its query.
    fn rows_for(
        &mut self,
        insert: &Insert,
        table: Arc<TableDef>,
        rel: &Arc<Rel>,
    ) -> Result<BoundInsert, Reported> {
        let fixed = self.fixed_columns(insert, &table)?;
        self.refuse_plain_times(&table, true, insert.table.span)?;
        let table = match insert.overwrites {
            Some(span) => self.overwritten(&table, insert, &fixed, span)?,
            None => table,
        };
        let of_points = |&c: &usize| matches!(table.columns[c].ty.kind, Kind::TimestampLtz(_));
        if table.partitioned_by.iter().any(of_points) && !zone::current().is_utc() {
            let message = "partitions by a TIMESTAMP_LTZ are not supported with a 'table.local-time-zone' other than UTC; partition by a STRING, such as DATE_FORMAT gives";
            return self.fail(insert.table.span, message);
        }
        let is_fixed = |name: &str| fixed.iter().any(|(at, _)| table.columns[*at].name == name);
        if let Some(twice) = insert.columns.iter().find(|column| is_fixed(&column.text)) {
            let message = format!(
                "column \"{}\" has its value in PARTITION; leave it out of the list",
                twice.text
            );
            return self.fail(twice.span, message);
        }
        let mut columns = self.insert_columns(insert, &table)?;
        columns.retain(|column| fixed.iter().all(|(known, _)| known != column));
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
                None => match fixed.iter().find(|(known, _)| *known == target) {
                    Some((_, value)) => value.clone(),
                    None => Expr::null(column.ty.kind, span),
                },
                Some(position) if is_null(rel, position) => Expr::null(column.ty.kind, span),
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
        let rel = calc(&self.final_rows(rel), None, exprs, fields);
        let rel = narrow(&self.without_null(rel, &table)?);
        self.printed(BoundInsert { table, rel, span: insert.table.span })
    }

    /// The table, of whose files an INSERT OVERWRITE takes the place.
    fn overwritten(
        &mut self,
        table: &Arc<TableDef>,
        insert: &Insert,
        fixed: &[(usize, Expr)],
        span: Span,
    ) -> Result<Arc<TableDef>, Reported> {
        if !self.batch {
            return self.fail(span, "INSERT OVERWRITE is for batch jobs alone: a streaming job has no end at which its rows could take the place of what is there; SET 'execution.runtime-mode' = 'batch' in front of it, or write INSERT INTO");
        }
        if !registry::overwrites(table.connector()) {
            let message = format!(
                "INSERT OVERWRITE replaces files, and table \"{}\" (connector '{}') has none; write INSERT INTO, or a table with 'connector' = 'filesystem'",
                table.name,
                table.connector()
            );
            return self.fail(insert.table.span, message);
        }
        let mut values = Vec::new();
        for (column, expr) in fixed {
            let Some(value) = expr.as_literal() else {
                let message = "INSERT OVERWRITE replaces partitions that have to be known before it runs: write the value in PARTITION as a literal";
                return self.fail(expr.span, message);
            };
            values.push((*column, value.clone()));
        }
        let mut overwritten = TableDef::clone(table);
        overwritten.overwrites = Some(values);
        Ok(Arc::new(overwritten))
    }

    /// Refuses to write files of a table beside those that take the place of all.
    fn refuse_overwritten_twice(&mut self, inserts: &[BoundInsert]) {
        let path =
            |insert: &BoundInsert| insert.table.written.get("path").cloned().unwrap_or_default();
        let is_within = |one: &BoundInsert, other: &BoundInsert| {
            registry::is_path_within(&path(one), &path(other), &self.options.base)
        };
        for (at, insert) in inserts.iter().enumerate() {
            let Some(fixed) = &insert.table.overwrites else { continue };
            let other = inserts.iter().enumerate().find(|(other, insert_of)| {
                *other != at && insert_of.table.connector() == insert.table.connector()
                    // Also folders of its own, and those whose partitions it is one of.
                    && (is_within(insert_of, insert)
                        || !insert_of.table.partitioned_by.is_empty() && is_within(insert, insert_of))
                    // Other partitions are other files.
                    && !insert_of.table.overwrites.as_ref().is_some_and(|other| {
                        fixed.iter().any(|(column, value)| {
                            other.iter().any(|(c, v)| c == column && v != value)
                        })
                    })
            });
            if let Some((_, other)) = other {
                let Span { line, column, .. } = other.span;
                let message = format!(
                    "table \"{}\" is overwritten here and written at {line}:{column} as well, in one job, of whose rows one would take the place of the other; write all of them by one INSERT OVERWRITE with UNION ALL, or run two jobs",
                    insert.table.name
                );
                self.report(SqlError::new(insert.span, message));
            }
        }
    }

    /// Rows for a table without those that hold NULL where it takes none, where they are to be
    /// left out; otherwise the first of them ends the job.
    fn without_null(&mut self, rel: Arc<Rel>, table: &TableDef) -> Result<Arc<Rel>, Reported> {
        if !self.drops_null {
            return Ok(rel);
        }
        let mut filter = None;
        for (position, column) in table.sink_columns().into_iter().enumerate() {
            let ty = rel.fields[position].ty;
            if !table.columns[column].ty.nullable && ty.nullable {
                let span = Span::default();
                let known = self.is_not_null(Expr::column(position, ty, span), span)?;
                filter = and(filter, Some(known));
            }
        }
        if filter.is_none() {
            return Ok(rel);
        }
        let (exprs, fields) = (identity(&rel), rel.fields.clone());
        Ok(calc(&rel, filter, exprs, fields))
    }

    /// The columns that `PARTITION (…)` gives a value to.
    fn fixed_columns(
        &mut self,
        insert: &Insert,
        table: &TableDef,
    ) -> Result<Vec<(usize, Expr)>, Reported> {
        let place = format!("table \"{}\"", table.name);
        let scope =
            Scope { fields: &[], qualifier: None, place: &place, aliases: &[], joined: None };
        let mut fixed = Vec::new();
        for (name, value) in &insert.partition {
            let at = table.columns.iter().position(|column| column.name == name.text);
            let Some(at) = at.filter(|at| table.partitioned_by.contains(at)) else {
                let known = table.partitioned_by.iter().map(|&c| table.columns[c].name.as_str());
                let hint = did_you_mean(&name.text, known, '"');
                let message =
                    format!("{place} is not partitioned by a column \"{}\"{hint}", name.text);
                return self.fail(name.span, message);
            };
            if fixed.iter().any(|(known, _)| *known == at) {
                let message = format!("PARTITION gives \"{}\" twice; keep one", name.text);
                return self.fail(name.span, message);
            }
            let bound = bind_plain(value, &scope, "has no place in PARTITION (…)");
            let bound = self.keep(bound)?;
            let ty = SqlType { kind: table.columns[at].ty.kind, nullable: true };
            match cast::cast(bound, ty, Style::Hidden, false, value.span) {
                Ok(value) => fixed.push((at, value)),
                Err(message) => return self.fail(value.span, message),
            }
        }
        Ok(fixed)
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

/// Whether a statement reads rows and gives them somewhere.
fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::Insert(_) | Statement::Query(_) => true,
        Statement::CreateTable(table) => table.query.is_some(),
        _ => false,
    }
}

/// Whether the job gives final results: what is set when the first statement writes.
fn mode_of(statements: &[Statement]) -> bool {
    let before = statements.iter().take_while(|statement| !writes(statement));
    before.fold(false, |batch, statement| match statement {
        Statement::Set { key, value, .. } if key == settings::MODE => {
            value.eq_ignore_ascii_case("batch")
        }
        Statement::Reset { key: None } => false,
        Statement::Reset { key: Some((key, _)) } if key == settings::MODE => false,
        _ => batch,
    })
}

/// Whether VALUES give nothing but NULL for a column, which is of any type then.
fn is_null(rel: &Rel, column: usize) -> bool {
    let null = |row: &Vec<Expr>| {
        row[column].as_literal().is_some_and(|value| arrow::array::Array::is_null(value, 0))
    };
    matches!(&rel.kind, crate::rel::RelKind::Values { rows } if rows.iter().all(null))
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
