//! `CREATE TABLE`: columns, watermark, options.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use weir_connectors::reference::{OptionText, Unresolved};
use weir_connectors::table::OptionValue;

use super::expr::{Scope, bind_plain};
use super::{Binder, Reported};
use crate::ast::{self, Ident};
use crate::catalog::{Column, ColumnKind, LATE_ROWS_TABLE, TableDef, Watermark, WatermarkRule};
use crate::database;
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Expr, Node};
use crate::parse::DATABASE;
use crate::rel::{Field, Role, role_of};
use crate::types::{Kind, SqlType};
use crate::zone;

/// Options as connectors see them, as written, and the table that late rows go to.
type Options = (BTreeMap<String, OptionValue>, BTreeMap<String, String>, Option<(String, Span)>);

impl Binder<'_> {
    pub(super) fn create_table(&mut self, table: &ast::CreateTable) -> Result<TableDef, Reported> {
        let before = self.errors.len();
        let columns = self.columns(table);
        let watermark = columns.as_ref().ok().and_then(|columns| {
            table.watermark.as_ref().and_then(|w| self.watermark(table, w, columns).ok())
        });
        let place = format!("table \"{}\"", table.name.shown());
        let named = |binder: &mut Self, names: &[ast::Ident], clause: &str| {
            let mut found = Vec::new();
            for name in names {
                match table.columns.iter().position(|c| c.name.text == name.text) {
                    Some(index)
                        if !matches!(table.columns[index].kind, ast::ColumnKind::Physical(_)) =>
                    {
                        binder.report(SqlError::new(
                            name.span,
                            format!(
                                "{clause}: column \"{}\" is a computed or METADATA column, which the table does not store; name columns that are declared with a type only",
                                name.text
                            ),
                        ));
                    }
                    Some(index) => found.push(index),
                    None => {
                        let hint = did_you_mean(
                            &name.text,
                            table.columns.iter().map(|c| c.name.text.as_str()),
                            '"',
                        );
                        binder.report(SqlError::new(
                            name.span,
                            format!(
                                "{clause}: column \"{}\" not found in {place}{hint}",
                                name.text
                            ),
                        ));
                    }
                }
            }
            found
        };
        let primary_key = named(self, &table.primary_key, "PRIMARY KEY");
        let partitioned_by = named(self, &table.partitioned_by, "PARTITIONED BY");
        let (options, written, late_rows) = self.options(table);
        let Ok(mut columns) = columns else {
            return Err(Reported);
        };
        if self.errors.len() > before {
            return Err(Reported);
        }
        for &key in &primary_key {
            columns[key].ty.nullable = false;
        }
        let shows = written.get("connector").is_some_and(|c| c == "print" || c == "blackhole");
        let stored = |of: fn(Kind) -> bool| {
            let is_stored = |column: &Column| {
                column.ty.kind.holds(of) && matches!(column.kind, ColumnKind::Physical)
            };
            let column = table.columns.iter().zip(&columns).find(|(_, made)| is_stored(made));
            column.map(|(column, _)| column.name.span)
        };
        if let (false, Some(span)) = (shows, stored(|kind| kind == Kind::Variant)) {
            return self.fail(span, "a VARIANT is shown by 'print' alone; declare the column STRING, write JSON_STRING(value), and read with PARSE_JSON(column)");
        }
        if let (false, Some(span)) = (shows, stored(|kind| kind == Kind::Bitmap)) {
            return self.fail(span, "a BITMAP is shown by 'print' alone; declare the column BYTES, write BITMAP_TO_BYTES(value), and read with BITMAP_FROM_BYTES(column)");
        }
        if let Some(span) = stored(Kind::is_interval) {
            return self.fail(span, "INTERVAL is not a type for columns; store a number of milliseconds or months as BIGINT, or CAST(value AS STRING)");
        }
        Ok(TableDef {
            name: table.name.shown(),
            key: match table.name.database() {
                Some(database) if database != DATABASE => table.name.text.clone(),
                _ => table.name.alone().to_owned(),
            },
            span: table.name.span,
            columns,
            watermark,
            primary_key,
            partitioned_by,
            options,
            written,
            late_rows,
            overwrites: None,
        })
    }

    fn columns(&mut self, table: &ast::CreateTable) -> Result<Vec<Column>, Reported> {
        if table.columns.is_empty() {
            return self
                .fail(table.name.span, format!("table \"{}\" has no columns", table.name.shown()));
        }
        // Computed columns see the stored ones, whatever the order, but not each other.
        let visible: Vec<Field> = table
            .columns
            .iter()
            .map(|column| Field {
                name: column.name.text.clone(),
                ty: match &column.kind {
                    ast::ColumnKind::Physical(ty) | ast::ColumnKind::Metadata { ty, .. } => *ty,
                    ast::ColumnKind::Computed(_) | ast::ColumnKind::OfQuery => {
                        SqlType::nullable(Kind::Null)
                    }
                },
                role: Role::Plain,
            })
            .collect();
        let place = format!("table \"{}\"", table.name.shown());
        let scope =
            Scope { fields: &visible, qualifier: None, place: &place, aliases: &[], joined: None };
        let mut columns = Vec::new();
        let mut failed = false;
        for column in &table.columns {
            let (ty, kind) = match &column.kind {
                ast::ColumnKind::Physical(ty) => (*ty, ColumnKind::Physical),
                ast::ColumnKind::Metadata { ty, key, is_virtual } => {
                    let key = key.clone().unwrap_or_else(|| column.name.text.clone());
                    (*ty, ColumnKind::Metadata { key, is_virtual: *is_virtual })
                }
                // Columns of a query have its types by now.
                ast::ColumnKind::OfQuery => continue,
                ast::ColumnKind::Computed(expr) => {
                    let bound = bind_plain(expr, &scope, "has no place in a computed column");
                    let other = first_computed(expr, table);
                    let bound = match other {
                        Some(other) => Err(SqlError::new(
                            other.span,
                            format!(
                                "a computed column cannot use another one, \"{}\"; repeat its expression",
                                other.text
                            ),
                        )),
                        None => bound,
                    };
                    match self.keep(bound) {
                        Ok(bound) => (bound.ty, ColumnKind::Computed(bound)),
                        Err(Reported) => {
                            failed = true;
                            continue;
                        }
                    }
                }
            };
            let (name, part_not_null) = (column.name.text.clone(), column.part_not_null);
            columns.push(Column { name, ty, part_not_null, kind });
        }
        if failed { Err(Reported) } else { Ok(columns) }
    }

    fn watermark(
        &mut self,
        table: &ast::CreateTable,
        mark: &ast::WatermarkDef,
        columns: &[Column],
    ) -> Result<Watermark, Reported> {
        let place = format!("table \"{}\"", table.name.shown());
        let Some(column) = columns.iter().position(|c| c.name == mark.column.text) else {
            let hint =
                did_you_mean(&mark.column.text, columns.iter().map(|c| c.name.as_str()), '"');
            return self.fail(
                mark.column.span,
                format!("column \"{}\" not found in {place}{hint}", mark.column.text),
            );
        };
        if let ColumnKind::Computed(expr) = &columns[column].kind
            && role_of(expr, &[]) == Role::Proctime
        {
            return self.fail(mark.column.span, format!("\"{}\" is the time at which a row is looked at, which needs no watermark; leave WATERMARK FOR out", mark.column.text));
        }
        let kind = columns[column].ty.kind;
        if !matches!(kind, Kind::Timestamp(0..=3) | Kind::TimestampLtz(0..=3)) {
            let hint = match kind {
                Kind::Timestamp(_) => format!(
                    "; declare \"{}\" as TIMESTAMP(3), as TIMESTAMP alone has 6 digits",
                    mark.column.text
                ),
                Kind::TimestampLtz(_) => {
                    format!("; declare \"{}\" as TIMESTAMP_LTZ(3)", mark.column.text)
                }
                Kind::BigInt | Kind::Int => {
                    format!("; add a column: ts AS TO_TIMESTAMP_LTZ(`{}`, 3)", mark.column.text)
                }
                kind if kind.is_text() => {
                    format!("; add a column: ts AS TO_TIMESTAMP(`{}`)", mark.column.text)
                }
                _ => String::new(),
            };
            return self.fail(mark.column.span, format!("the event time \"{}\" is {kind}, but must be TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3{hint}", mark.column.text));
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|c| Field { name: c.name.clone(), ty: c.ty, role: Role::Plain })
            .collect();
        let scope =
            Scope { fields: &fields, qualifier: None, place: &place, aliases: &[], joined: None };
        let bound = bind_plain(&mark.expr, &scope, "has no place in a watermark");
        let expr = self.keep(bound)?;
        if !expr.kind().is_timestamp() {
            return self.fail(mark.expr.span, format!("a watermark is a TIMESTAMP(3) or TIMESTAMP_LTZ(3), not {}; write \"{}\" - INTERVAL '5' SECOND for example", expr.kind(), mark.column.text));
        }
        let rule = match delay(&expr, column) {
            Some(ms) => {
                let Ok(ms) = u64::try_from(ms) else {
                    return self.fail(mark.expr.span, "this watermark is ahead of its rows, so that all of them would be late; subtract the interval");
                };
                WatermarkRule::Delay(Duration::from_millis(ms))
            }
            None => WatermarkRule::Expr(expr),
        };
        Ok(Watermark { column, rule })
    }

    /// Refuses metadata that are points in time in columns of a type that is none, which would show
    /// another time than the session's clock.
    pub(super) fn refuse_plain_times(
        &mut self,
        table: &TableDef,
        written: bool,
        span: Span,
    ) -> Result<(), Reported> {
        let is_plain = |column: &&Column| {
            matches!(column.ty.kind, Kind::Timestamp(_))
                && matches!(&column.kind, ColumnKind::Metadata { is_virtual, .. } if !(written && *is_virtual))
        };
        let Some(column) = table.columns.iter().find(is_plain) else { return Ok(()) };
        if zone::current().is_utc() {
            return Ok(());
        }
        let message = format!(
            "column \"{}\" of table \"{}\" is {}, and its metadata are points in time, which are not shown by a 'table.local-time-zone' other than UTC there; declare it TIMESTAMP_LTZ(3), and CAST it where it is used",
            column.name, table.name, column.ty.kind
        );
        self.fail(span, message)
    }

    /// The table with the options of a hint, which come before those of its WITH.
    pub(super) fn with_options(
        &mut self,
        table: &Arc<TableDef>,
        options: &[ast::OptionDef],
    ) -> Result<Arc<TableDef>, Reported> {
        if options.is_empty() {
            return Ok(table.clone());
        }
        let mut hinted = TableDef::clone(table);
        let mut failed = false;
        for option in options {
            if option.key.starts_with("weir.") {
                self.report(SqlError::new(
                    option.key_span,
                    format!(
                        "option '{}' has no place in a hint; set it in the table's WITH",
                        option.key
                    ),
                ));
                failed = true;
                continue;
            }
            hinted.written.insert(option.key.clone(), option.value.clone());
            match self.resolve(&option.value, option.value_span) {
                Ok(value) => {
                    let value = OptionValue { value, at: option.key_span.start() };
                    hinted.options.insert(option.key.clone(), value);
                }
                Err(Reported) => failed = true,
            }
        }
        if failed {
            return Err(Reported);
        }
        hinted.key = format!("{:?} with {:?}", table.key, hinted.written);
        if let Some(known) = self.hinted.iter().find(|known| known.key == hinted.key) {
            return Ok(known.clone());
        }
        let hinted = Arc::new(hinted);
        self.hinted.push(hinted.clone());
        Ok(hinted)
    }

    /// The path of a database and the name of a table in it, of a name in an option: a table of
    /// this database, unless the name says another one.
    fn whole_name<'n>(&self, name: &'n str, own: &str) -> (String, &'n str) {
        if let Some((of, table)) = name.split_once('.') {
            let beside = database::path(database::catalog_of(own), of);
            if self.databases.contains(&beside) {
                return (beside, table);
            }
            if let Some((of_catalog, table)) = table.split_once('.') {
                let path = database::path(of, of_catalog);
                if self.databases.contains(&path) {
                    return (path, table);
                }
            }
        }
        (own.to_owned(), name)
    }

    fn options(&mut self, table: &ast::CreateTable) -> Options {
        let mut options = BTreeMap::new();
        let mut written = BTreeMap::new();
        let mut late_rows = None;
        for option in &table.options {
            if option.key == LATE_ROWS_TABLE {
                let span = option.value_span;
                let own = table.name.database().unwrap_or(DATABASE);
                let (of, name) = self.whole_name(&option.value, own);
                let target =
                    Ident::in_database(&of, &Ident { text: name.to_owned(), span }, span).text;
                late_rows = Some((target, option.value_span));
                written.insert(option.key.clone(), option.value.clone());
                continue;
            }
            if option.key.starts_with("weir.") {
                let hint = did_you_mean(&option.key, [LATE_ROWS_TABLE], '\'');
                self.report(SqlError::new(
                    option.key_span,
                    format!("option '{}' is unknown{hint}", option.key),
                ));
                continue;
            }
            written.insert(option.key.clone(), option.value.clone());
            if let Ok(value) = self.resolve(&option.value, option.value_span) {
                options
                    .insert(option.key.clone(), OptionValue { value, at: option.key_span.start() });
            }
        }
        if !written.contains_key("connector") {
            self.report(SqlError::new(
                table.name.span,
                format!(
                    "table \"{}\" has no connector; add WITH ('connector' = '…')",
                    table.name.shown()
                ),
            ));
        }
        (options, written, late_rows)
    }

    /// Looks up every `${env:NAME}`.
    fn resolve(&mut self, written: &str, span: Span) -> Result<OptionText, Reported> {
        match OptionText::resolve(written, &self.options.env) {
            Ok(text) => Ok(text),
            Err(Unresolved::Open) => self.fail(span, "'${env:' has no closing '}'"),
            Err(Unresolved::NotSet(name)) => self.fail(span, format!("the environment variable {name} is not set; set it for the workers (spec.workers.env or envFrom), or in the shell for `weir run`")),
        }
    }
}

/// The delay of `column - INTERVAL …` in milliseconds, 0 for the column itself.
fn delay(expr: &Expr, column: usize) -> Option<i64> {
    match &*expr.node {
        Node::Column(index) => (*index == column).then_some(0),
        Node::Call(call) if call.args.len() == 2 => {
            let sign = match call.name.as_str() {
                "-" => 1,
                "+" => -1,
                _ => return None,
            };
            if call.args[0].as_column() != Some(column)
                || call.args[1].kind() != Kind::IntervalMillis
            {
                return None;
            }
            let value = call.args[1].as_literal().filter(|v| v.is_valid(0))?;
            Some(sign * value.as_primitive::<Int64Type>().value(0))
        }
        _ => None,
    }
}

/// The first computed column that an expression names. What follows a name's first part are fields
/// of that column, which may be called as another column is.
fn first_computed<'a>(expr: &'a ast::Expr, table: &ast::CreateTable) -> Option<&'a ast::Ident> {
    if let ast::ExprKind::Column(parts) = &expr.kind
        && let Some(name) = parts.first()
    {
        let column = table.columns.iter().find(|c| c.name.text == name.text)?;
        return matches!(column.kind, ast::ColumnKind::Computed(_)).then_some(name);
    }
    crate::parse::children(&expr.kind).find_map(|child| first_computed(child, table))
}
