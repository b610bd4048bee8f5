//! A query that stands on its own: its rows go to a print table that nobody has declared.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::Int64Type;
use weir_connectors::table::OptionValue;

use super::expr::call;
use super::{Binder, BoundInsert, Reported};
use crate::ast;
use crate::catalog::{Column, ColumnKind, TableDef};
use crate::error::{Span, SqlError};
use crate::expr::col::{Prims, rows_of};
use crate::expr::{Col, Expr, Kernel, Style, render};
use crate::rel::{Field, Role, calc, identity};
use crate::types::{Kind, SqlType};

impl Binder<'_> {
    /// Prints the rows of `query`, the `number`th of its kind in the program.
    pub(super) fn shown(
        &mut self,
        query: &ast::Query,
        number: usize,
    ) -> Result<BoundInsert, Reported> {
        let rel = self.query(query, &[])?;
        let rel = self.final_rows(&rel);
        if let Some(field) = rel.fields.iter().find(|field| field.ty.kind == Kind::Null) {
            let message = format!(
                "column \"{}\" is NULL in every row and has no type; write CAST(NULL AS …)",
                field.name
            );
            return self.fail(query.span, message);
        }
        let name = match number {
            1 => "rows".to_owned(),
            number => format!("rows {number}"),
        };
        let columns = rel.fields.iter().map(|field| Column {
            name: field.name.clone(),
            ty: SqlType::nullable(field.ty.kind),
            part_not_null: false,
            kind: ColumnKind::Physical,
        });
        let connector = ("connector".to_owned(), "print".to_owned());
        let table = TableDef {
            key: format!("query {number}"),
            name,
            span: query.span,
            columns: columns.collect(),
            watermark: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: BTreeMap::from([(
                connector.0.clone(),
                OptionValue { value: connector.1.as_str().into(), at: query.span.start() },
            )]),
            written: BTreeMap::from([connector]),
            late_rows: None,
            overwrites: None,
        };
        let plain = |field: &Field| Field { role: Role::Plain, ..field.clone() };
        let fields = rel.fields.iter().map(plain).collect();
        let rel = calc(&rel, None, identity(&rel), fields);
        self.printed(BoundInsert { table: Arc::new(table), rel, span: query.span })
    }

    /// What is printed has texts, as Java prints them, in the place of values that no connector knows.
    pub(super) fn printed(&mut self, insert: BoundInsert) -> Result<BoundInsert, Reported> {
        let shown = |field: &&Field| field.ty.kind.holds(Kind::is_only_shown);
        if !insert.rel.fields.iter().any(|field| shown(&field)) {
            return Ok(insert);
        }
        let connector = insert.table.connector();
        if let (Some(field), false) =
            (insert.rel.fields.iter().find(shown), ["print", "blackhole"].contains(&connector))
        {
            let message = format!(
                "column \"{}\" is {}, which connector '{connector}' does not take; CAST it AS STRING",
                field.name, field.ty.kind
            );
            return self.fail(insert.span, message);
        }
        let inside = |field: &&Field| shown(field) && !field.ty.kind.is_only_shown();
        if let Some(field) = insert.rel.fields.iter().find(inside) {
            let message = format!(
                "column \"{}\" is {}: intervals and bitmaps inside of other values cannot be printed; CAST them AS STRING",
                field.name, field.ty.kind
            );
            return self.fail(insert.span, message);
        }
        let mut table = TableDef::clone(&insert.table);
        for column in table.columns.iter_mut().filter(|column| column.ty.kind.is_only_shown()) {
            column.ty.kind = Kind::STRING;
        }
        let mut fields = insert.rel.fields.clone();
        let mut exprs = identity(&insert.rel);
        for (field, expr) in fields.iter_mut().zip(&mut exprs) {
            if field.ty.kind.is_only_shown() {
                *expr = self.keep(as_java_prints(expr.clone(), insert.span))?;
                field.ty.kind = Kind::STRING;
            }
        }
        let rel = calc(&insert.rel, None, exprs, fields);
        Ok(BoundInsert { table: Arc::new(table), rel, span: insert.span })
    }
}

fn as_java_prints(value: Expr, span: Span) -> Result<Expr, SqlError> {
    let kind = value.kind();
    let ty = SqlType { kind: Kind::STRING, nullable: value.ty.nullable };
    let kernel: Kernel = Arc::new(move |args, rows| {
        let one = |row: usize| match kind {
            Kind::Bitmap => render::value(&args[0], kind, row),
            _ => {
                let amount = Prims::<Int64Type>::of(&args[0]).get(row)?;
                Some(render::java_interval(amount, kind))
            }
        };
        let texts: StringArray = (0..rows_of(args, rows)).map(one).collect();
        Ok(Col::of(Arc::new(texts), args))
    });
    call("PRINTED", vec![value], kernel, ty, Style::Hidden, span)
}
