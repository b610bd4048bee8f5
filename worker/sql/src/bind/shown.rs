//! A query that stands on its own: its rows go to a print table that nobody has declared.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_connectors::table::OptionValue;

use super::{Binder, BoundInsert, Reported};
use crate::ast;
use crate::catalog::{Column, ColumnKind, TableDef};
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
        };
        let plain = |field: &Field| Field { role: Role::Plain, ..field.clone() };
        let fields = rel.fields.iter().map(plain).collect();
        let rel = calc(&rel, None, identity(&rel), fields);
        Ok(BoundInsert { table: Arc::new(table), rel, span: query.span })
    }
}
