//! Tables that are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_connectors::table::Guarantee;
use weir_engine::graph::OperatorInfo;

use super::{Flows, Lowering, Shape, identity};
use crate::catalog::TableDef;
use crate::rel::Field;

impl Lowering<'_> {
    pub(super) fn sink(&mut self, flows: Flows, identity: &str, table: &Arc<TableDef>) {
        let sink = table.as_sink();
        let mut info = OperatorInfo {
            uid: self.uid(&format!("sink {} of {identity}", identity::sink(table))),
            name: format!("{} {}", table.connector(), table.name),
            kind: "sink",
            details: BTreeMap::new(),
            state: None,
            tables: Vec::new(),
            nondeterministic: None,
        };
        let parts = match self.options.parts.sink(&sink, &self.place(&info)) {
            Ok(parts) => parts,
            Err(problems) => return self.problems(table, problems),
        };
        info.details = parts.details;
        let guarantee = match parts.guarantee {
            Guarantee::ExactlyOnce => "exactly once",
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::None => "none",
        };
        info.details.insert("guarantee".to_owned(), guarantee.to_owned());
        if let Some(committer) = parts.committer {
            self.graph.committers.insert(info.uid.clone(), committer);
        }
        self.append(&flows, info, parts.factory, sink.schema);
    }
}

/// What a table's sink takes, given the columns that come.
pub(super) fn sink_shape(table: &TableDef, fields: &[Field]) -> Shape {
    let not_null = table
        .sink_columns()
        .into_iter()
        .enumerate()
        .filter(|&(position, column)| {
            !table.columns[column].ty.nullable && fields.get(position).is_some_and(|f| f.ty.nullable)
        })
        .map(|(position, column)| {
            let message = format!(
                "column \"{}\" of table \"{}\" is NOT NULL, but got NULL; filter such rows, or use COALESCE",
                table.columns[column].name, table.name
            );
            (position, message)
        })
        .collect();
    Shape { schema: table.as_sink().schema, not_null }
}
