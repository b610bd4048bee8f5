//! Tables that are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_connectors::table::Guarantee;
use weir_engine::graph::{Exchange, Node, OperatorInfo, Parallelism};
use weir_engine::operators::rank::spec::RankFunction;

use super::{Flows, Lowering, Shape, identity};
use crate::catalog::TableDef;
use crate::error::Span;
use crate::rel::{Field, Rank, Rel, RelKind};

impl Lowering<'_> {
    /// Writes rows to a table; those of a `key`, if there is one, all in one task.
    pub(super) fn sink(
        &mut self,
        flows: Flows,
        identity: &str,
        table: &Arc<TableDef>,
        key: &[usize],
    ) {
        let mut sink = table.as_sink();
        sink.output.at_end = self.batch;
        // What is held for the end is nothing for a sink that adds rows.
        let how = if table.overwrites.is_some() { " overwritten" } else { "" };
        let mut info = OperatorInfo {
            uid: self.uid(&format!("sink {}{how} of {identity}", identity::sink(table))),
            name: name(table),
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
        if table.overwrites.is_some() {
            self.graph.replaces = Some(info.name.clone());
        }
        let guarantee = match parts.guarantee {
            Guarantee::ExactlyOnce => "exactly once",
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::None => "none",
        };
        info.details.insert("guarantee".to_owned(), guarantee.to_owned());
        if let Some(committer) = parts.committer {
            self.graph.committers.insert(info.uid.clone(), committer);
        }
        if parts.single {
            let vertex = self.vertex(info, Node::Operator(parts.factory));
            self.graph.vertices[vertex].parallelism = Parallelism::Single;
            for (input, flow) in flows.iter().enumerate() {
                self.edge(flow, vertex, input, Exchange::Single);
            }
            return;
        }
        if key.is_empty() {
            self.append(&flows, info, parts.factory, sink.schema);
            return;
        }
        let vertex = self.vertex(info, Node::Operator(parts.factory));
        for (input, flow) in flows.iter().enumerate() {
            let exchange = Exchange::Hash { columns: key.to_vec(), reuse: false };
            self.edge(flow, vertex, input, exchange);
        }
    }
}

/// What the operator that writes to a table is called.
pub(super) fn name(table: &TableDef) -> String {
    format!("{} {}", table.connector(), table.name)
}

/// What a table of upserts is written: of each of its keys one row.
///
/// Rows of a key may come from several rows of the query whose order is lost on the way, so that the
/// one before would be taken back behind the one that takes its place. Where nothing says that
/// they are one row, of those of a key that are there the first to come is written (Flink's
/// SinkUpsertMaterializer takes the last).
pub(super) fn one_of_each(rel: &Arc<Rel>, key: &[usize], span: Span) -> Arc<Rel> {
    let in_order = || rel.keys().iter().any(|known| known.iter().all(|c| key.contains(c)));
    if key.is_empty() || rel.corrected_by().is_none() || in_order() {
        return Arc::clone(rel);
    }
    let rank = Rank {
        input: Arc::clone(rel),
        partition: key.to_vec(),
        order: Vec::new(),
        function: RankFunction::RowNumber,
        from: 1,
        to: 1,
        span,
        limit: false,
        at_end: false,
    };
    Arc::new(Rel { kind: RelKind::Rank(rank), fields: rel.fields.clone() })
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
