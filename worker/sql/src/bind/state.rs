//! STATE in FROM: rows that an operator of a job keeps. It becomes a table that nobody has declared,
//! of which the columns are those that are stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_connectors::table::OptionValue;

use super::query::scan;
use super::{Binder, Reported};
use crate::ast::StateCall;
use crate::catalog::{Column, ColumnKind, TableDef};
use crate::parts::{StateAsked, StatePart};
use crate::rel::Rel;
use crate::types::{Kind, SqlType};

impl Binder<'_> {
    /// Its rows, and what to call them.
    pub(super) fn state(&mut self, call: &StateCall) -> Result<(Arc<Rel>, String), Reported> {
        let asked = StateAsked {
            place: call.place.0.clone(),
            operator: call.operator.0.clone(),
            table: call.table.as_ref().map(|(name, _)| name.clone()),
            version: call.version.map(|(number, _)| number),
        };
        let found = match self.options.parts.state(&asked, &self.options.base) {
            Ok(found) => found,
            Err(problem) => {
                let span = match problem.part {
                    StatePart::Call => None,
                    StatePart::Place => Some(call.place.1),
                    StatePart::Operator => Some(call.operator.1),
                    // What is asked for by leaving it out.
                    StatePart::Table => call.table.as_ref().map(|(_, span)| *span),
                    StatePart::Version => call.version.map(|(_, span)| span),
                };
                return self.fail(span.unwrap_or(call.span), problem.message);
            }
        };
        let table = found.asked.table.as_deref().unwrap_or_default();
        let mut columns = Vec::new();
        for field in found.schema.fields() {
            let Some(kind) = Kind::of_stored(field.data_type()) else {
                let message = format!(
                    "column \"{}\" of table \"{table}\" is {}, for which SQL has no type; `weir state export` writes it to a file",
                    field.name(),
                    field.data_type()
                );
                return self.fail(call.span, message);
            };
            let ty = SqlType { kind, nullable: field.is_nullable() };
            columns.push(Column {
                name: field.name().clone(),
                ty,
                kind: ColumnKind::Physical,
                part_not_null: false,
            });
        }
        let name = format!("{table} of {}", found.operator);
        let mut written = BTreeMap::from([("connector".to_owned(), "state".to_owned())]);
        written.extend(found.asked.options());
        let key = format!("state {written:?}");
        let place = format!("the state \"{name}\"");
        if let Some(known) = self.hinted.iter().find(|known| known.key == key) {
            return Ok((scan(known), place));
        }
        let at = call.function.span.start();
        let option = |(key, text): (&String, &String)| {
            (key.clone(), OptionValue { value: text.as_str().into(), at })
        };
        let table = Arc::new(TableDef {
            name,
            key,
            span: call.span,
            columns,
            watermark: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: written.iter().map(option).collect(),
            written,
            late_rows: None,
            overwrites: None,
        });
        self.hinted.push(table.clone());
        Ok((scan(&table), place))
    }
}
