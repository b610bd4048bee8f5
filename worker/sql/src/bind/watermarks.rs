//! `CURRENT_WATERMARK`: which watermark a row of a table found. Sources show it in a column that they
//! have where it is asked for, and that no `*` gives.

use std::sync::Arc;

use arrow::array::new_null_array;

use super::expr::{ExprBinder, call};
use super::join::Joined;
use super::query::{From, scan};
use super::{Binder, Reported};
use crate::ast::{self, ExprKind, SelectItem};
use crate::catalog::{Column, ColumnKind, TableDef};
use crate::error::{Span, SqlError};
use crate::expr::{Col, Expr, Node, Style};
use crate::rel::{Rel, RelKind, Role, calc};
use crate::types::{Kind, SqlType};

/// The function.
pub(crate) const CURRENT_WATERMARK: &str = "CURRENT_WATERMARK";

/// Whether a column is the one that shows watermarks.
pub(crate) fn is_shown(column: &Column) -> bool {
    matches!(&column.kind, ColumnKind::Computed(expr)
        if matches!(&*expr.node, Node::Call(call) if call.name == CURRENT_WATERMARK))
}

/// Whether a SELECT asks for watermarks.
fn asks(select: &ast::Select) -> bool {
    let items = select.items.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::Star { .. } => None,
    });
    let keys = select.group_by.iter().flat_map(|group| &group.keys);
    let conditions = [&select.filter, &select.having, &select.qualify].into_iter().flatten();
    items.chain(keys).chain(conditions).any(is_asked)
}

pub(super) fn is_asked(expr: &ast::Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(call) if is_it(&call.name.text))
        || crate::parse::children(&expr.kind).any(is_asked)
}

/// Whether it is the name of the function.
pub(super) fn is_it(name: &str) -> bool {
    name.eq_ignore_ascii_case(CURRENT_WATERMARK)
}

impl Binder<'_> {
    /// FROM with the column, if the SELECT asks for it and its rows are still those of a table.
    pub(super) fn with_watermarks(
        &mut self,
        from: From,
        select: &ast::Select,
    ) -> Result<From, Reported> {
        if from.joined.is_some() || !asks(select) {
            return Ok(from);
        }
        if let Some(by) = from.rel.corrected_by() {
            let message = format!(
                "CURRENT_WATERMARK would not give the same once more when a row is taken back as it was given ({} at {}:{}); ask it of rows that only come",
                by.what, by.span.line, by.span.column
            );
            return self.fail(select.span, message);
        }
        let shown = self.with_shown(&from.rel);
        let Some(rel) = self.keep(shown)? else { return Ok(from) };
        let mut joined = Joined::of(&from);
        let column = rel.fields.len() - 1;
        joined.hide(column..column + 1);
        Ok(From { rel, joined: Some(joined), ..from })
    }

    /// The rows with the column behind all others; `None` where they are no table's any more.
    fn with_shown(&mut self, rel: &Arc<Rel>) -> Result<Option<Arc<Rel>>, SqlError> {
        match &rel.kind {
            RelKind::Scan(table) => Ok(self.showing(table)?.map(|table| scan(&table))),
            RelKind::Calc { input, filter, exprs } => {
                let Some(input) = self.with_shown(input)? else { return Ok(None) };
                let Some(column) = input.fields.last().cloned() else { return Ok(None) };
                let (mut exprs, mut fields) = (exprs.clone(), rel.fields.clone());
                exprs.push(Expr::column(input.fields.len() - 1, column.ty, Span::default()));
                fields.push(column);
                Ok(Some(calc(&input, filter.clone(), exprs, fields)))
            }
            _ => Ok(None),
        }
    }

    /// The table with the column; `None` if it has no watermark.
    fn showing(&mut self, table: &Arc<TableDef>) -> Result<Option<Arc<TableDef>>, SqlError> {
        let Some(watermark) = &table.watermark else { return Ok(None) };
        if table.columns.iter().any(is_shown) {
            return Ok(Some(Arc::clone(table)));
        }
        let time = &table.columns[watermark.column];
        let kind = match time.ty.kind {
            Kind::TimestampLtz(_) => Kind::TimestampLtz(3),
            _ => Kind::Timestamp(3),
        };
        // Whoever reads the rows puts the watermark in its place.
        let nothing = Arc::new(move |_: &[Col], rows: usize| {
            Ok(Col::Array(new_null_array(&kind.arrow(), rows)))
        });
        let of = vec![match &time.kind {
            ColumnKind::Computed(expr) => expr.clone(),
            _ => Expr::column(watermark.column, time.ty, table.span),
        }];
        let ty = SqlType::nullable(kind);
        let nothing = call(CURRENT_WATERMARK, of, nothing, ty, Style::Function, table.span)?;
        let mut table = TableDef::clone(table);
        table.key = format!("{} with watermarks", table.key);
        let kind = ColumnKind::Computed(nothing);
        let mut name = "$watermark".to_owned();
        while table.columns.iter().any(|column| column.name == name) {
            name.insert(0, '$');
        }
        table.columns.push(Column { name, ty, part_not_null: false, kind });
        if let Some(known) = self.hinted.iter().find(|known| known.key == table.key) {
            return Ok(Some(known.clone()));
        }
        let table = Arc::new(table);
        self.hinted.push(table.clone());
        Ok(Some(table))
    }
}

impl ExprBinder<'_> {
    /// `CURRENT_WATERMARK(time)`.
    pub(super) fn current_watermark(
        &mut self,
        call: &ast::Call,
        span: Span,
    ) -> Result<Expr, SqlError> {
        let [time] = call.args.as_slice() else {
            return Err(SqlError::new(span, "CURRENT_WATERMARK takes an event time"));
        };
        let bound = self.bind(time)?;
        let fields = self.scope.fields;
        let is_time =
            bound.as_column().and_then(|c| fields.get(c)).is_some_and(|f| f.role.is_rowtime());
        if !is_time {
            let message = "CURRENT_WATERMARK takes an event time: the column of a WATERMARK, as it is, in a SELECT of that table without joins, windows and other queries";
            return Err(SqlError::new(time.span, message));
        }
        match fields.iter().position(|field| field.role == Role::Watermark) {
            Some(column) => Ok(Expr::column(column, fields[column].ty, span)),
            None => Err(SqlError::new(
                span,
                "CURRENT_WATERMARK is known of the rows of one table, and of what only selects from it; ask for it there, and give it a name that can be used further on",
            )),
        }
    }
}
