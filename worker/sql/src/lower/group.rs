//! Aggregates over all rows: `GROUP BY` without windows, `SELECT DISTINCT`.

use weir_engine::aggregate::InputRows;
use weir_engine::graph::{Exchange, Node, OperatorInfo};
use weir_engine::operator::OutputTag;
use weir_engine::operators::group::{self, spec::GroupAggregate};

use super::rank::{forgotten, seconds};
use super::windows::{calls, details, late_corrections};
use super::{Flow, Lowering, identity, names, schema_of};
use crate::error::SqlError;
use crate::rel::{Aggregate, Rel};

impl Lowering<'_> {
    pub(super) fn group(&mut self, rel: &Rel, aggregate: &Aggregate) -> Option<Flow> {
        let flows = self.rel(&aggregate.input, None)?;
        let ttl = self.ttl_or(aggregate.ttl);
        let spec = GroupAggregate {
            input: flows.first()?.schema.clone(),
            input_rows: match aggregate.input.corrected_by() {
                Some(_) => InputRows::Retracted,
                None => InputRows::Appended,
            },
            keys: aggregate.keys.clone(),
            aggregates: calls(aggregate),
            update_before: true,
            // A window ends by itself.
            ttl: ttl.filter(|_| aggregate.ends.is_none()).map(seconds),
            ends: aggregate.ends,
        };
        let made = group::operator(&spec).and_then(|made| Ok((made, group::tables(&spec)?)));
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(aggregate.span, error.message));
                return None;
            }
        };
        // What is counted is part of it: stored results say nothing of another aggregate, which
        // would begin in their middle.
        let mut counted: Vec<String> = aggregate
            .calls
            .iter()
            .map(|call| identity::call_text(call, &aggregate.input, false))
            .collect();
        counted.sort();
        let identity = format!("group {} {}", identity::rows(rel, false), counted.join(","));
        let mut details = details(aggregate, &aggregate.input.fields);
        details.insert("changes".to_owned(), names::changes(rel).to_owned());
        let info = OperatorInfo {
            uid: self.uid(&identity),
            name: names::aggregate(aggregate, &aggregate.input.fields),
            kind: "group aggregate",
            details,
            state: None,
            tables,
            nondeterministic: match aggregate.ends {
                Some(_) => late_corrections(&aggregate.input),
                None => forgotten(ttl, "groups are forgotten", "after their last row"),
            },
        };
        let vertex = self.vertex(info, Node::Operator(factory));
        for (input, flow) in flows.iter().enumerate() {
            let exchange = Exchange::Hash { columns: aggregate.keys.clone(), reuse: false };
            self.edge(flow, vertex, input, exchange);
        }
        let (output, schema) = (OutputTag::Main, schema_of(&rel.fields));
        Some(Flow { vertex, operator: 0, output, schema, open: true })
    }
}
